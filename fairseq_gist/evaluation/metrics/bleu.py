"""BLEU by sacreBLEU."""

from __future__ import annotations

import functools
from typing import Any, Sequence

import numpy as np
from sacrebleu.metrics import BLEU

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import Measured, SummedMetric, Texts
from fairseq_gist.languages.codes import script_of

__all__ = ["METRIC", "Bleu"]


class Bleu(SummedMetric):
    """BLEU of a corpus, with the tokeniser that sacreBLEU advises for the language.

    A sentence's counts are the words of hypothesis and reference, and for n = 1 - 4 the matching
    n-grams, then those of the hypothesis.
    """

    name = "bleu"
    summary = "BLEU, by sacreBLEU"
    is_default = True
    title = "BLEU"
    columns = 10

    def measure(self, texts: Texts) -> Measured:
        """Return the counts, `[sentences, 10]`."""
        metric = _for_language(texts.language)
        # What sacreBLEU's own significance tests start from.
        found = metric._extract_corpus_statistics(  # noqa: SLF001
            texts.hypotheses, [texts.references]
        )
        return Measured(np.array(found, dtype=np.int32), str(metric.get_signature()))

    def score_of_sums(self, sums: Sequence[int]) -> float:
        """Return BLEU from 0 to 100."""
        return float(_scorer()._compute_score_from_stats(sums).score)  # noqa: SLF001


METRIC = Bleu

_ADVISED = {
    **dict.fromkeys(("Hani", "Hans", "Hant", "Hanb"), "zh"),
    **dict.fromkeys(("Jpan", "Hira", "Kana", "Hrkt"), "ja"),
    **dict.fromkeys(("Kore", "Hang"), "ko"),
}
"""Script -> the language for which sacreBLEU has a tokeniser of its own."""


@functools.lru_cache(maxsize=None)
def _scorer() -> Any:
    """Return what computes scores from counts, for which the language doesn't matter."""
    return BLEU()


def _for_language(language: str) -> Any:
    """Return BLEU with the tokeniser sacreBLEU advises: 13a, except for zh, ja and ko.

    Those are told by their script, so that Cantonese is cut as Mandarin is and romaji isn't.
    """
    advised = _ADVISED.get(script_of(language), "")
    try:
        return BLEU(trg_lang=advised)
    except (ImportError, RuntimeError) as error:
        raise OptionError(
            f"BLEU for '{language}' needs a tokeniser that is not installed: "
            f"pip install 'sacrebleu[{advised}]'"
        ) from error
