"""Judging many p-values together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["holm"]


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values adjusted by Holm's method (1979), in the shape given.

    Those at most ``level`` are the hypotheses that are rejected with a probability of ``level`` at
    most to reject any that is true. NaN, of what wasn't tested, stays NaN and doesn't count.

    >>> holm(np.array([0.04, 0.01, np.nan])).tolist()
    [0.04, 0.02, nan]
    """
    flat = p_values.ravel()
    adjusted = np.full(len(flat), np.nan)
    order = np.argsort(flat, kind="stable")  # NaN last
    count = int(np.isfinite(flat).sum())
    steps = flat[order[:count]] * np.arange(count, 0, -1)
    adjusted[order[:count]] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.reshape(p_values.shape)
