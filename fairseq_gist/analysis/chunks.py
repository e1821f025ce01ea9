"""How far a figure would move with other chunks of data: the delete-one-chunk jackknife."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

__all__ = ["Jackknife", "delete_one_chunk"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Jackknife:
    """A figure, or an array of them, with its interval.

    Attributes:
        estimate: from all the chunks.
        error: standard error.
        low: lower end of the interval.
        high: upper end.
    """

    estimate: Floats
    error: Floats
    low: Floats
    high: Floats


def delete_one_chunk(
    chunks: NDArray[np.int64],
    estimate: Callable[[NDArray[np.bool_]], Floats],
    confidence: float = 0.95,
) -> Jackknife:
    """Return a figure with the interval that leaving out each chunk in turn gives it.

    With n chunks and e(i) the figure without the i-th, the squared error is (n-1)/n Σ (e(i) - ē)²
    (Tukey 1958), and the interval the estimate ± t(n-1) errors. For means of products of two
    different chunks, which are U-statistics, that is right for many chunks (Arvesen 1969), and too
    wide where the gradients are nothing but noise.

    Args:
        chunks: chunk of each probe, `[probes]`.
        estimate: from which probes are kept, `[probes]`, to the figure or figures.
        confidence: of the interval.

    Returns:
        What has the shape of the figures. An interval is NaN where the figure, or one without some
        chunk, is NaN, and with fewer than three chunks.
    """
    different = np.unique(chunks)
    whole = np.asarray(estimate(np.ones(len(chunks), dtype=bool)), dtype=np.float64)
    count = len(different)
    if count < 3:
        unknown = np.full_like(whole, np.nan)
        return Jackknife(whole, unknown, unknown, unknown)
    without = np.array([estimate(chunks != chunk) for chunk in different], dtype=np.float64)
    error = np.sqrt((count - 1) * without.var(axis=0))
    reach = student.ppf((1 + confidence) / 2, count - 1) * error
    return Jackknife(whole, error, whole - reach, whole + reach)
