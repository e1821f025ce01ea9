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
    "SentenceStatistics",
    "corpus_score",
    "count_sentences",
    "fingerprint",
    "pack",
    "unpack",
]

METRICS: Mapping[str, str] = {"bleu": "BLEU", "chrf": "chrF"}
"""Every metric's key and how it is written."""

COUNTS = {"bleu": 10, "chrf": 18}
"""How many numbers a sentence has."""

Counts = NDArray[np.int32]


class SentenceStatistics(NamedTuple):
    """The counts of one language's sentences, in the order of the references."""

    bleu: Counts
    """`[sentences, 10]`: words of hypothesis and reference, matches and hypothesis n-grams by n."""
    chrf: Counts
    """`[sentences, 18]`: by n the character n-grams of hypothesis, reference, and matches."""
    references: str
    """Fingerprint of the reference texts."""


def count_sentences(
    language: str, hypotheses: Sequence[str], references: Sequence[str]
) -> Tuple[SentenceStatistics, Dict[str, str]]:
    """Return the statistics of a language and, by metric, sacreBLEU's signature.

    Raises:
        OptionError: when sacreBLEU's tokeniser for the language isn't installed.
    """
    metrics: Dict[str, Any] = {"bleu": _bleu(language), "chrf": CHRF()}
    counts = {}
    signatures = {}
    for key, metric in metrics.items():
        # What sacreBLEU's own significance tests start from; chrF shows its counts nowhere else.
        found = metric._extract_corpus_statistics(hypotheses, [references])  # noqa: SLF001
        counts[key] = np.array(found, dtype=np.int32).reshape(-1, COUNTS[key])
        signatures[key] = str(metric.get_signature())
    return SentenceStatistics(references=fingerprint(references), **counts), signatures


def corpus_score(metric: str, sums: Sequence[int]) -> float:
    """Return the score of a corpus of which ``sums`` are the summed counts of its sentences."""
    return float(_scorer(metric)._compute_score_from_stats(sums).score)  # noqa: SLF001


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
    size = sentences * COUNTS[metric] * 4
    try:
        content = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the {metric} counts are damaged: {error}") from error
    if len(content) != size:
        raise ValueError(f"expected {metric} counts of {sentences} sentences, found other ones")
    counts = np.frombuffer(content, dtype="<i4").reshape(sentences, COUNTS[metric])
    if counts.size and counts.min() < 0:
        raise ValueError(f"a {metric} count is negative")
    return counts.astype(np.int32)


@functools.lru_cache(maxsize=None)
def _scorer(metric: str) -> Any:
    """Return a metric to compute scores with, for which the language doesn't matter."""
    return BLEU() if metric == "bleu" else CHRF()


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
