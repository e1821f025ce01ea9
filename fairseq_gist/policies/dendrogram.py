"""The order in which agglomerative clustering merges the languages of one unit.

Only the order of events is kept, not the tree: two languages stand for the groups they are in at
that moment. The order is the same on every machine, ties included. Single and complete linkage
depend on nothing but the order of the distances, so scipy is given ranks, which have no ties.
Average linkage needs sums; scipy's would round, and which of two equal averages is the smaller
would depend on the processor, so here they are sums of integers.
"""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import squareform

__all__ = ["DIGITS", "LINKAGES", "Merge", "merges"]

LINKAGES = ("single", "average", "complete")

DIGITS = 12
"""Decimal places at which distances and heights are compared."""

_SCALE = 10.0**DIGITS


class Merge(NamedTuple):
    """Two groups of languages that become one.

    Attributes:
        height: the linkage's distance between the two groups.
        one: index of a language of the first.
        other: index of a language of the second.
    """

    height: float
    one: int
    other: int


def merges(
    distances: Sequence[float], count: int, groups: Sequence[Sequence[int]], linkage: str
) -> List[Merge]:
    """Return the merges inside each of ``groups``, the nearest first.

    Args:
        distances: of the pairs of languages (0, 1), (0, 2) ... (1, 2) ..., `[pairs]`.
        count: number of languages.
        groups: indices of languages; merges never cross from one group to another.
        linkage: one of :data:`LINKAGES`.
    """
    if count < 2:
        return []
    rounded = np.array([round(distance, DIGITS) for distance in distances])  # numpy's isn't exact
    members = [np.array(group, dtype=np.intp) for group in groups if len(group) > 1]
    if linkage == "average":
        matrix = squareform(np.rint(rounded * _SCALE).astype(np.int64), checks=False)
        found = [
            (merge.height, step, Merge(merge.height, int(own[merge.one]), int(own[merge.other])))
            for own in members
            for step, merge in enumerate(_averages(matrix[np.ix_(own, own)]))
        ]
        return [merge for *_, merge in sorted(found)]
    return _by_rank(rounded, count, members, linkage)


def _by_rank(
    rounded: NDArray[np.float64], count: int, members: Sequence[NDArray[np.intp]], linkage: str
) -> List[Merge]:
    """Return the merges of a linkage whose heights are distances of pairs."""
    one, other = np.triu_indices(count, k=1)
    order = np.argsort(rounded, kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    ranks = squareform(rank, checks=False)
    own_ranks = (squareform(ranks[np.ix_(own, own)], checks=False) for own in members)
    heights = [rank for own in own_ranks for rank in scipy_linkage(own, linkage)[:, 2].tolist()]
    pairs = (order[int(rank)] for rank in sorted(heights))
    return [Merge(float(rounded[pair]), int(one[pair]), int(other[pair])) for pair in pairs]


def _averages(sums: NDArray[np.int64]) -> List[Merge]:
    """Return the merges of average linkage; of equal ones that of the first languages first.

    Args:
        sums: distances in units of the last digit, `[languages, languages]`.
    """
    sums, count = sums.copy(), len(sums)
    sizes = np.ones(count, dtype=np.int64)
    alone = np.ones(count, dtype=bool)  # of each group its first language stands for it
    found = []
    for _ in range(count - 1):
        # sums are exact in floating point too, so that equal averages are equal after division
        averages = sums / np.outer(sizes, sizes)
        averages[~(alone[:, None] & alone[None, :])] = np.inf
        np.fill_diagonal(averages, np.inf)
        one, other = divmod(int(averages.argmin()), count)
        found.append(Merge(round(float(averages[one, other]) / _SCALE, DIGITS), one, other))
        sums[one] += sums[other]
        sums[:, one] += sums[:, other]
        sizes[one] += sizes[other]
        alone[other] = False
    return found
