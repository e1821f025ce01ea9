"""chrF by sacreBLEU, with words chrF++."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Sequence

import numpy as np
from sacrebleu.metrics import CHRF

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import Measured, SummedMetric, Texts

__all__ = ["METRIC", "Chrf"]

_WORD_ORDERS = (0, 1, 2)


@dataclass(frozen=True)
class _Options:
    word_order: int = field(
        default=0,
        metadata={
            "help": "words that chrF counts beside characters: '0', none; '1', single ones; '2', "
            "pairs too, which is chrF++",
            "choices": _WORD_ORDERS,
        },
    )

    def __post_init__(self) -> None:
        if self.word_order not in _WORD_ORDERS:
            raise OptionError(f"chrF's word order: expected 0, 1 or 2, found {self.word_order}")


class Chrf(SummedMetric):
    """chrF of a corpus.

    A sentence's counts are by n = 1 - 6 the character n-grams of hypothesis, of reference, and
    those that match; then, up to the word order, the same of words.
    """

    name = "chrf"
    summary = "chrF, by sacreBLEU; with words chrF++"
    Options = _Options
    is_default = True

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self._scorer = CHRF(word_order=self.options.word_order)

    @property
    def title(self) -> str:
        """chrF, with a plus for each word order."""
        return "chrF" + "+" * int(self.options.word_order)

    @property
    def columns(self) -> int:
        """Three for each n of characters and of words."""
        return 3 * int(CHRF.CHAR_ORDER + self.options.word_order)

    def measure(self, texts: Texts) -> Measured:
        """Return the counts, `[sentences, columns]`."""
        # chrF shows its counts nowhere else.
        found = self._scorer._extract_corpus_statistics(  # noqa: SLF001
            texts.hypotheses, [texts.references]
        )
        return Measured(np.array(found, dtype=np.int32), str(self._scorer.get_signature()))

    def score_of_sums(self, sums: Sequence[int]) -> float:
        """Return chrF from 0 to 100."""
        return float(self._scorer._compute_score_from_stats(sums).score)  # noqa: SLF001


METRIC = Chrf
