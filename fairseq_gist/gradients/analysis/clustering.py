"""Which languages belong together on a unit, and whether there are groups of them at all.

The distance of two languages is 1 - the debiased cosine of their gradients. Two null hypotheses
stand against groups, and the larger of their p-values counts:

- *the same*: in every chunk all languages have the same distribution of gradients. Then their
  probes may be exchanged within the chunk.
- *equally apart*: the languages' gradients differ, but no pair more than another, and what makes
  the cosines unequal is noise. Noise is what is left of a probe without the mean of its language;
  all the noise of a chunk may as well have had the other sign. Exchanging probes would be no answer
  here: it makes languages of which each is a mixture of all, and those have shorter gradients, with
  less noise along them.

Both ask for the largest sum of squares that a level of the tree explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.analysis.levels import largest_explained
from fairseq_gist.gradients.analysis.permutation import p_values, permuted_members
from fairseq_gist.gradients.analysis.probes import UnitProbes
from fairseq_gist.gradients.analysis.silhouette import silhouette
from fairseq_gist.gradients.analysis.tree import TREE_LINKAGES, Groups, Tree, distances
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["Clustering", "cluster_languages"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clustering:
    """The languages of one unit in groups.

    Attributes:
        unit: module path.
        languages: that were clustered.
        unplaced: whose gradients are zero or can't be told from noise.
        distances: 1 - cosine, `[languages, languages]`.
        linkage: ``average`` or ``ward``.
        merges: as of :func:`scipy.cluster.hierarchy.linkage`, `[languages - 1, 4]`; empty with
            fewer than two languages.
        silhouettes: number of groups -> mean silhouette width, for every number that has one.
        groups: of the languages, by the largest silhouette or of the number asked for.
        p_same: p-value of "all languages have the same gradients".
        p_apart: p-value of "all languages are equally far apart".
    """

    unit: str
    languages: Tuple[str, ...]
    unplaced: Tuple[str, ...]
    distances: Floats
    linkage: str
    merges: Floats
    silhouettes: Dict[int, float]
    groups: Tuple[Tuple[str, ...], ...]
    p_same: float
    p_apart: float

    @property
    def p_value(self) -> float:
        """The larger of the two; NaN where there is nothing to test."""
        return float(np.maximum(self.p_same, self.p_apart))

    def partition(self, level: float = 0.05) -> Tuple[Tuple[str, ...], ...]:
        """Return the groups if ``p_value`` is at most ``level``; else, and if NaN, one group."""
        return self.groups if self.p_value <= level else (self.languages,)


def cluster_languages(
    statistics: GradientStatistics,
    unit: str,
    linkage: str = "average",
    groups: Optional[int] = None,
    permutations: int = 999,
    seed: int = 0,
) -> Clustering:
    """Return the languages of ``unit`` in groups, and whether noise explains them.

    Cosines are debiased where every language has two chunks or more. Languages whose gradients then
    can't be told from noise are left out. Otherwise cosines are those of the mean gradients, only
    zero gradients are left out, and nothing is tested. Nor is it with fewer than three languages:
    whether two differ is a matter of divergence. p-values are NaN then.

    Without ``groups``, their number is that from 2 to languages - 1 with the largest mean
    silhouette width, of equal ones the smallest. The p-values allow for the choice.

    Args:
        statistics: with the unit.
        unit: module path.
        linkage: ``average`` or ``ward``; see :meth:`fairseq_gist.gradients.analysis.tree.Tree.of`.
        groups: number of groups, where it is given. 1, or one for each language, isn't tested.
        permutations: drawn for each p-value.
        seed: of the draws.

    Raises:
        OptionError: for another linkage, or more groups than languages left.
        StatisticsError: when the unit was not recorded.
    """
    if linkage not in TREE_LINKAGES:
        raise OptionError(f"linkage: expected one of {', '.join(TREE_LINKAGES)}, found '{linkage}'")
    own = statistics.select([unit])
    every = UnitProbes.of(own, unit)
    debiased = bool(every.chunk_counts.min() > 1)
    cosines = own.cosines(debiased)[0]
    known = ~np.isnan(np.diagonal(cosines))
    placed = np.flatnonzero(known & own.is_signal()[0] if debiased else known)
    names = tuple(every.languages[index] for index in placed)
    if groups is not None and not 1 <= groups <= len(names):
        raise OptionError(
            f"groups: expected 1 to {len(names)}, the languages whose gradients on '{unit}' can be "
            f"told from noise; found {groups}"
        )
    matrix = distances(cosines[np.ix_(placed, placed)])
    tree = Tree.of(matrix, linkage) if len(names) > 1 else Tree(np.empty((0, 4)), {})
    widths = {k: silhouette(matrix, tree.levels[k]) for k in range(2, len(names))}
    chosen = groups if groups is not None else _best(widths)
    levels = [k for k in widths if groups is None or k == groups]
    p_same = p_apart = float("nan")
    if debiased and levels:
        probes = every.only(placed.tolist())
        lengths = np.sqrt(np.diagonal(probes.products()))
        p_same, p_apart = _test(
            probes.scaled(1.0 / lengths[probes.labels]), linkage, levels, permutations, seed
        )
    found: Groups = tree.levels.get(chosen, (tuple(range(len(names))),))
    return Clustering(
        unit=unit,
        languages=names,
        unplaced=tuple(name for name in every.languages if name not in names),
        distances=matrix,
        linkage=linkage,
        merges=tree.merges,
        silhouettes=widths,
        groups=tuple(tuple(names[index] for index in group) for group in found if group),
        p_same=p_same,
        p_apart=p_apart,
    )


def _best(widths: Dict[int, float]) -> int:
    """Return the number of groups of the largest silhouette, to rounding; 1 where there is none."""
    return max(widths, key=lambda k: (round(widths[k], 9), -k), default=1)


def _test(
    probes: UnitProbes, linkage: str, levels: List[int], permutations: int, seed: int
) -> Tuple[float, float]:
    """Return the p-values of "the same" and of "equally apart".

    Args:
        probes: scaled so that the gradient of each language has length 1 without its noise. The
            scale isn't found anew for every draw: mixtures of opposed gradients have none.
        linkage: of the trees.
        levels: numbers of groups that may be chosen.
        permutations: number of draws.
        seed: of the draws.
    """
    generator = np.random.default_rng(seed)
    products = probes.products()
    same = probes.products_as(permuted_members(probes, permutations, generator))
    others = ~np.eye(len(products), dtype=bool)
    apart = products[others].mean() + _noise(probes, permutations, generator)
    observed, *drawn = (
        largest_explained(distances(own), linkage, levels) for own in (products[None], same, apart)
    )
    p_same, p_apart = (float(p_values(observed[0], own)) for own in drawn)
    return p_same, p_apart


def _noise(probes: UnitProbes, count: int, generator: np.random.Generator) -> Floats:
    """Return what noise adds to the products of languages, `[count, languages, languages]`.

    A probe is the mean m of its language and a residual r, which is scaled up by √(n / (n-1)) for
    the n probes that the mean is of. The residuals of a chunk, all languages', keep their sign or
    change it, w = ±1; noise is the mean over different chunks of m·wr' + wr·m' + wr·w'r'.
    """
    members, across = probes.members, probes.across
    sizes = members.sum(axis=1)
    mean = (members.T / sizes) @ members
    residual = (np.eye(len(mean)) - mean) * np.sqrt(sizes / (sizes - 1))[probes.labels][:, None]
    first = (mean @ probes.gram @ residual.T) * across
    second = (residual @ probes.gram @ residual.T) * across
    chunks, position = np.unique(probes.chunks, return_inverse=True)
    signs = generator.choice([-1.0, 1.0], size=(count, len(chunks)))[:, position]
    signed = members * signs[:, None, :]
    half = members @ first @ signed.transpose(0, 2, 1)
    counts = members @ across @ members.T
    noise: Floats = half + half.transpose(0, 2, 1)
    noise = (noise + signed @ second @ signed.transpose(0, 2, 1)) / counts
    return noise
