"""How much of the languages' distances the levels of their trees explain; many trees at once."""

from __future__ import annotations

from typing import Collection

import numpy as np
from numpy.typing import NDArray

__all__ = ["largest_explained"]

Floats = NDArray[np.float64]


def largest_explained(matrices: Floats, linkage: str, levels: Collection[int]) -> Floats:
    """Return the most that being inside or between groups explains at one of the levels, `[trees]`.

    What groups explain of the squares of the distances is
    (between - within)² · n_within · n_between / n_pairs, with the means over pairs of languages and
    the numbers of pairs; it counts as negative where groups are farther apart inside than between
    them. The trees are those of :meth:`fairseq_gist.gradients.analysis.tree.Tree.of`, grown all at
    the same time: a permutation test has thousands.

    Args:
        matrices: distances, `[trees, languages, languages]`.
        linkage: ``average`` or ``ward``.
        levels: numbers of groups, from 2 to languages - 1.
    """
    count = matrices.shape[-1]
    trees, every = np.arange(len(matrices)), np.arange(count)
    near = np.round(matrices, 12) ** (2 if linkage == "ward" else 1)
    near[:, every, every] = np.inf
    sizes = np.ones((len(matrices), count))
    labels = np.tile(every, (len(matrices), 1))
    best = np.full(len(matrices), -np.inf)
    for left in range(count - 1, min(levels, default=count) - 1, -1):
        one, other = np.divmod(near.reshape(len(matrices), -1).argmin(axis=1), count)
        merged = _merged(near, sizes, one, other, linkage)
        near[trees, one], near[trees, :, one] = merged, merged
        near[trees, one, one] = np.inf
        near[trees, other], near[trees, :, other] = np.inf, np.inf
        sizes[trees, one] += sizes[trees, other]
        labels = np.where(labels == other[:, None], one[:, None], labels)
        if left in levels:
            best = np.maximum(best, _explained(matrices, labels))
    return best


def _merged(
    near: Floats, sizes: Floats, one: NDArray[np.intp], other: NDArray[np.intp], linkage: str
) -> Floats:
    """Return the distances of two groups' union, for Ward squared, `[trees, languages]`."""
    trees = np.arange(len(near))
    first, second = sizes[trees, one][:, None], sizes[trees, other][:, None]
    to_first, to_second = near[trees, one], near[trees, other]
    if linkage == "average":
        return np.asarray((first * to_first + second * to_second) / (first + second))
    apart = near[trees, one, other][:, None]
    whole = (first + sizes) * to_first + (second + sizes) * to_second - sizes * apart
    return np.asarray(whole / (first + second + sizes))


def _explained(matrices: Floats, labels: NDArray[np.intp]) -> Floats:
    one, other = np.triu_indices(matrices.shape[-1], k=1)
    apart = matrices[:, one, other]
    inside = labels[:, one] == labels[:, other]
    within = inside.sum(axis=1)
    between = len(one) - within
    own = (apart * inside).sum(axis=1)
    gap = (apart.sum(axis=1) - own) / between - own / within
    return np.asarray(np.sign(gap) * gap**2 * within * between / len(one))
