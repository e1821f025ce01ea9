"""Sentence statistics as text, and the fingerprint of what they were made from.

``docs/scores-format.md`` describes how a scores file holds them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from typing import Sequence

import numpy as np

from fairseq_gist.evaluation.metrics.base import Metric, Statistics

__all__ = ["fingerprint", "pack", "unpack"]


def fingerprint(references: Sequence[str]) -> str:
    """Return the SHA-256 of the references in UTF-8, a line feed after each."""
    text = "".join(f"{reference}\n" for reference in references)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def pack(statistics: Statistics, metric: Metric) -> str:
    """Return them as text: base64 of zlib of the metric's type of number, sentence by sentence."""
    content = statistics.astype(metric.dtype).tobytes()
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def unpack(text: str, metric: Metric, sentences: int) -> Statistics:
    """Return `[sentences, columns]` from what :func:`pack` made.

    Raises:
        ValueError: when that isn't what the text holds.
    """
    size = sentences * metric.columns * np.dtype(metric.dtype).itemsize
    try:
        packed = base64.b64decode(text, validate=True)
        content = zlib.decompressobj().decompress(packed, size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the {metric.name} counts are damaged: {error}") from error
    if not sentences or len(content) != size:
        raise ValueError(
            f"expected {metric.name} counts of {sentences} sentences, found other ones"
        )
    counts = np.frombuffer(content, dtype=metric.dtype).reshape(sentences, -1)
    if counts.dtype.kind == "i":
        if counts.size and counts.min() < 0:
            raise ValueError(f"a {metric.name} count is negative")
        return counts.astype(np.int32)
    if not np.isfinite(counts).all():
        raise ValueError(f"a {metric.name} score is no number")
    return counts.astype(np.float64)
