"""How well a clustering fits its distances: the silhouette of Rousseeuw (1987)."""

from __future__ import annotations

from typing import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["silhouette"]


def silhouette(distances: NDArray[np.float64], groups: Sequence[Sequence[int]]) -> float:
    """Return the mean silhouette width, from -1 to 1.

    With a(i) the mean distance of i to the rest of its group and b(i) that to the nearest other
    group, the width of i is (b(i) - a(i)) / max(a(i), b(i)); it is 0 for one alone in its group,
    and where both are 0. A structure is called strong above 0.7, reasonable above 0.5, weak above
    0.25, and of no substance below (Kaufman & Rousseeuw 1990). NaN with one group, or with nothing
    but groups of one.

    Args:
        distances: `[n, n]`, none negative.
        groups: of the indices 0 to n - 1, each in one of them.
    """
    if not 1 < len(groups) < len(distances):
        return float("nan")
    sums = np.column_stack([distances[:, list(group)].sum(axis=1) for group in groups])
    sizes = np.array([len(group) for group in groups])
    widths = []
    for number, group in enumerate(groups):
        for index in group if len(group) > 1 else ():
            own = sums[index, number] / (sizes[number] - 1)
            other = float(np.delete(sums[index] / sizes, number).min())
            largest = max(own, other)
            widths.append((other - own) / largest if largest > 0 else 0.0)
    return float(sum(widths) / len(distances))
