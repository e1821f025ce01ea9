"""On which neurons of a feed-forward block the groups of languages conflict.

Scaled to the length 1 that they have in the whole block, probes of the same group have mean inner
products w, those of different groups b. Both are sums over the neurons, and so is their
difference w - b: it is 0 for a neuron on which all go the same way or none has a gradient, and
large where the groups want different things. Products within a chunk are left out, as everywhere.

With ``directions``, probes first lose what isn't a direction that tells languages apart: of their
joint factorization, the components that are noise, and those along which all languages go. Rows of
U being the probes in the basis, D those components, G a neuron's Gram matrix and A the weights
that make w - b of it, what is left is the sum of A times P G P with P = U_D U_Dᵀ. The components
come from the same probes, so this one is not free of bias.
"""

from __future__ import annotations

from typing import Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.analysis.directions import directions
from fairseq_gist.gradients.analysis.factorization import factorize
from fairseq_gist.gradients.analysis.probes import UnitProbes
from fairseq_gist.gradients.neurons import NeuronGrams
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["MEASURES", "conflicts"]

MEASURES = ("directions", "agreement")

Floats = NDArray[np.float64]

_DIFFERING = ("conflict", "group", "own")


def conflicts(
    statistics: GradientStatistics,
    block: str,
    neurons: NeuronGrams,
    groups: Sequence[Sequence[str]],
    measure: str = "directions",
) -> Tuple[Floats, str]:
    """Return how much the groups conflict on each neuron, and what measured it.

    Args:
        statistics: of the whole block, as one unit.
        block: its name there.
        neurons: of the block, of the same probes.
        groups: of all the languages, two at least.
        measure: ``directions``, or ``agreement`` of all that there is. Where no direction tells
            languages apart for sure, the latter stands in for the former.

    Returns:
        The conflict, `[neurons]`, and ``directions`` or ``agreement``.

    Raises:
        OptionError: for another measure.
    """
    if measure not in MEASURES:
        raise OptionError(f"expected one of {', '.join(MEASURES)}, found '{measure}'")
    probes = UnitProbes.of(statistics, block)
    weights = _weights(probes, groups)
    projection = _projection(statistics, block) if measure == "directions" else None
    if projection is not None:
        weights = projection @ weights @ projection
    lengths = probes.lengths
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    found = neurons.weighed(weights * scale[:, None] * scale[None, :])
    return found, "agreement" if projection is None else "directions"


def _weights(probes: UnitProbes, groups: Sequence[Sequence[str]]) -> Floats:
    """Return what products count in w - b, `[probes, probes]`; each pair of languages alike."""
    number = {own: index for index, group in enumerate(groups) for own in group}
    of_group = np.array([number[language] for language in probes.languages])
    same = of_group[:, None] == of_group[None, :]
    counts = probes.members @ probes.across @ probes.members.T
    weights = np.where(counts > 0, 1.0 / np.maximum(counts, 1.0), 0.0)
    for chosen, sign in ((same, 1.0), (~same, -1.0)):
        weights = np.where(
            chosen, sign * weights / max(1, int((chosen & (counts > 0)).sum())), weights
        )
    spread: Floats = weights[np.ix_(probes.labels, probes.labels)] * probes.across
    return spread


def _projection(statistics: GradientStatistics, block: str) -> Optional[Floats]:
    """Return U_D U_Dᵀ, `[probes, probes]`; None where no direction tells languages apart."""
    factors = factorize(statistics, block)
    kinds = directions(factors).kinds()
    differing = [index for index, kind in enumerate(kinds) if kind in _DIFFERING]
    if not differing:
        return None
    basis = factors.coordinates[:, differing] / factors.singular_values[differing]
    projection: Floats = basis @ basis.T
    return projection
