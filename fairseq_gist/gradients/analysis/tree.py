"""Agglomerative clustering of languages by the similarity of their gradients."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage as scipy_linkage

__all__ = ["TREE_LINKAGES", "Groups", "Tree", "distances"]

Floats = NDArray[np.float64]
Groups = Tuple[Tuple[int, ...], ...]

TREE_LINKAGES = ("average", "ward")

_DIGITS = 12
"""Decimal places to which distances count, so that rounding makes no order."""


class Tree(NamedTuple):
    """A dendrogram.

    Attributes:
        merges: as of :func:`scipy.cluster.hierarchy.linkage`, `[languages - 1, 4]`.
        levels: number of groups -> the groups of that many, sorted.
    """

    merges: Floats
    levels: Dict[int, Groups]

    @classmethod
    def of(cls, matrix: Floats, linkage: str) -> Tree:
        """Return the dendrogram of two languages or more.

        ``average`` merges the two groups whose languages are the nearest on the mean (UPGMA).
        ``ward`` applies Ward's update (1963) to the distances as they are, which is what the code
        of Sun & Nakamura (2026) does with 1 - cosine. Ward's criterion, the growth of the squared
        error, is about squared Euclidean distances, and 1 - cosine is half of one already, so this
        isn't the least growth of anything: it squares once more, and weighs large groups and large
        distances more than average linkage does. Heights are comparable within one tree only.

        Groups of equal distance merge in the order of the languages' names.

        Args:
            matrix: distances, `[languages, languages]`.
            linkage: one of :data:`TREE_LINKAGES`.
        """
        pairs = np.triu_indices(len(matrix), k=1)
        merges: Floats = scipy_linkage(np.round(matrix[pairs], _DIGITS), linkage)
        members: List[Tuple[int, ...]] = [(own,) for own in range(len(matrix))]
        alone = set(range(len(matrix)))
        levels = {len(alone): tuple(members)}
        for step in merges.tolist():
            one, other = int(step[0]), int(step[1])
            alone -= {one, other}
            alone.add(len(members))
            members.append(tuple(sorted(members[one] + members[other])))
            levels[len(alone)] = tuple(sorted(members[own] for own in alone))
        return cls(merges, levels)


def distances(similarities: Floats) -> Floats:
    """Return 1 - similarity, cut off at 0 and 2, and 0 of each with itself, `[..., n, n]`."""
    apart: Floats = 1.0 - np.clip(similarities, -1.0, 1.0)
    count = apart.shape[-1]
    apart[..., np.arange(count), np.arange(count)] = 0.0
    return apart
