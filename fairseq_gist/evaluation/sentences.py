"""Sentence statistics: the counts of every sentence from which sacreBLEU computes corpus scores.

They are what a significance test resamples, so that translations needn't be kept. A corpus' BLEU
and chrF depend on nothing but the sums of these counts over its sentences.
``docs/scores-format.md`` describes how a scores file holds them.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import zlib
from typing import Any, Dict, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from fairseq_gist.errors import OptionError

__all__ = [
    "METRICS",
    "WORD_ORDERS",
    "SentenceStatistics",
    "corpus_score",
    "count_sentences",
    "fingerprint",
    "pack",
    "unpack",
]

METRICS: Mapping[str, str] = {"bleu": "BLEU", "chrf": "chrF"}
"""Every metric's key and how it is written, without words in chrF."""

WORD_ORDERS = (0, 1, 2)
"""Up to which n chrF may count n-grams of words: chrF, chrF+, chrF++."""

COUNTS = {"bleu": (10,), "chrf": tuple(3 * (CHRF.CHAR_ORDER + order) for order in WORD_ORDERS)}
"""How many numbers a sentence may have: those of chrF tell its word order."""

Counts = NDArray[np.int32]


class SentenceStatistics(NamedTuple):
    """The counts of one language's sentences, in the order of the references."""

    bleu: Counts
    """`[sentences, 10]`: words of hypothesis and reference, matches and hypothesis n-grams by n."""
    chrf: Counts
    """`[sentences, 18]`: by n the character n-grams of hypothesis, reference, and matches; then,
    up to chrF's word order, those of words."""
    references: str
    """Fingerprint of the reference texts."""

    def title(self, metric: str) -> str:
        """Return how the metric is written: chrF with words has a plus for each word order."""
        order = _word_order(self.chrf.shape[1]) if metric == "chrf" else 0
        return METRICS[metric] + "+" * order


def count_sentences(
    language: str, hypotheses: Sequence[str], references: Sequence[str], word_order: int = 0
) -> Tuple[SentenceStatistics, Dict[str, str]]:
    """Return the statistics of a language and, by metric, sacreBLEU's signature.

    Args:
        language: that of the texts, whose tokeniser BLEU takes.
        hypotheses: one for each reference.
        references: plain text.
        word_order: of chrF, one of :data:`WORD_ORDERS`.

    Raises:
        OptionError: when sacreBLEU's tokeniser for the language isn't installed.
    """
    metrics: Dict[str, Any] = {"bleu": _bleu(language), "chrf": CHRF(word_order=word_order)}
    counts = {}
    signatures = {}
    for key, metric in metrics.items():
        # What sacreBLEU's own significance tests start from; chrF shows its counts nowhere else.
        found = metric._extract_corpus_statistics(hypotheses, [references])  # noqa: SLF001
        counts[key] = np.array(found, dtype=np.int32).reshape(len(references), -1)
        signatures[key] = str(metric.get_signature())
    return SentenceStatistics(references=fingerprint(references), **counts), signatures


def corpus_score(metric: str, sums: Sequence[int]) -> float:
    """Return the score of a corpus of which ``sums`` are the summed counts of its sentences."""
    scorer = _scorer(metric, len(sums))
    return float(scorer._compute_score_from_stats(sums).score)  # noqa: SLF001


def fingerprint(references: Sequence[str]) -> str:
    """Return the SHA-256 of the references in UTF-8, a line feed after each."""
    text = "".join(f"{reference}\n" for reference in references)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def pack(counts: Counts) -> str:
    """Return the counts as text: base64 of zlib of little-endian int32, sentence by sentence."""
    return base64.b64encode(zlib.compress(counts.astype("<i4").tobytes(), 9)).decode("ascii")


def unpack(text: str, metric: str, sentences: int) -> Counts:
    """Return `[sentences, counts]` from what :func:`pack` made.

    Raises:
        ValueError: when that isn't what the text holds.
    """
    sizes = [sentences * count * 4 for count in COUNTS[metric]]
    try:
        packed = base64.b64decode(text, validate=True)
        content = zlib.decompressobj().decompress(packed, max(sizes) + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the {metric} counts are damaged: {error}") from error
    if not sentences or len(content) not in sizes:
        raise ValueError(f"expected {metric} counts of {sentences} sentences, found other ones")
    counts = np.frombuffer(content, dtype="<i4").reshape(sentences, -1)
    if counts.size and counts.min() < 0:
        raise ValueError(f"a {metric} count is negative")
    return counts.astype(np.int32)


@functools.lru_cache(maxsize=None)
def _scorer(metric: str, counts: int) -> Any:
    """Return a metric to compute scores with, for which the language doesn't matter."""
    return BLEU() if metric == "bleu" else CHRF(word_order=_word_order(counts))


def _word_order(counts: int) -> int:
    """Return chrF's word order by how many numbers a sentence has."""
    return WORD_ORDERS[COUNTS["chrf"].index(counts)]


def _bleu(language: str) -> Any:
    """Return BLEU with the tokeniser sacreBLEU advises: 13a, except for zh, ja and ko."""
    base = language.replace("_", "-").split("-")[0].lower()
    try:
        return BLEU(trg_lang=base)
    except (ImportError, RuntimeError) as error:
        raise OptionError(
            f"BLEU for '{language}' needs a tokeniser that is not installed: "
            f"pip install 'sacrebleu[{base}]'"
        ) from error
