"""One basis for the gradients of all the languages: singular value decomposition of the stack.

The probes of a unit, scaled to length 1 and stacked as the rows of a matrix X, are U S Vᵀ; the rows
of Vᵀ are the joint basis, and U S are the probes' coordinates in it. The Gram matrix X Xᵀ is
U S² Uᵀ, so that its eigenvectors give all of this but V itself, which nothing here needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Tuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.analysis.probes import UnitProbes
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["COMPONENTS", "Factorization", "factorize"]

Floats = NDArray[np.float64]

COMPONENTS = 30
"""Components that are kept unless another number is asked for, as in the paper."""


@dataclass(frozen=True, eq=False)
class Factorization:
    """The probes of one unit in a joint basis.

    Attributes:
        unit: module path.
        singular_values: the largest first, `[components]`.
        coordinates: of each probe, `[probes, components]`.
        total: sum of the squares of all the singular values, also of those left out.
        probes: what was factorised.
    """

    unit: str
    singular_values: Floats
    coordinates: Floats
    total: float
    probes: UnitProbes

    @property
    def languages(self) -> Tuple[str, ...]:
        """Names, in the order of the rows of :attr:`energy`."""
        return self.probes.languages

    @property
    def explained(self) -> Floats:
        """Share of all squared lengths in each component, `[components]`; NaN if all are zero."""
        whole = self.total if self.total > 0 else np.nan
        shares: Floats = self.singular_values**2 / whole
        return shares

    @property
    def energy(self) -> Floats:
        """Mean squared coordinate of each language's probes, `[languages, components]`.

        A row adds up to the share of the language's gradients that the basis holds: 1 if no
        component is left out, and less for a language with a zero gradient. The noise of a single
        probe counts like a signal here, as in the paper.
        """
        members = self.probes.members
        energy: Floats = members @ self.coordinates**2 / members.sum(axis=1)[:, None]
        return energy

    @property
    def signal(self) -> Floats:
        """Mean product of coordinates in different chunks, `[languages, components]`.

        The energy that comes back in every chunk: near 0 for noise, of which it can be a little
        below. If no component is left out, a row adds up to the language's self-similarity. NaN
        for a language of one chunk.
        """
        members, across = self.probes.members, self.probes.across
        pairs = ((members @ across) * members).sum(axis=1)
        parts = members[:, None, :] * self.coordinates.T  # [languages, components, probes]
        sums = ((parts @ across) * parts).sum(axis=2)
        signal: Floats = sums / np.where(pairs > 0, pairs, np.nan)[:, None]
        return signal

    def proportions(self, groups: Sequence[Sequence[str]]) -> Floats:
        """Return each group's share of the energy in the basis, `[groups]`.

        The energy of a group is the mean over its languages of their rows' sums. NaN if all the
        gradients are zero.

        Raises:
            OptionError: when the groups name a language that isn't there, or none.
        """
        known = {language: index for index, language in enumerate(self.languages)}
        for group in groups:
            if not group or set(group) - set(known):
                raise OptionError(
                    f"groups: expected some of the languages {', '.join(known)}, found "
                    f"{', '.join(group) or 'an empty group'}"
                )
        energy = self.energy.sum(axis=1)
        means = np.array([energy[[known[own] for own in group]].mean() for group in groups])
        whole = means.sum()
        shares: Floats = means / (whole if whole > 0 else np.nan)
        return shares


def factorize(
    statistics: GradientStatistics, unit: str, components: int = COMPONENTS
) -> Factorization:
    """Return the joint factorization of the probes of ``unit``.

    A singular value below the square root of what rounding can do to the Gram matrix counts as 0,
    and its component is left out: there may be fewer than ``components``, none where all the
    gradients are zero. Each component's sign is such that the probes' coordinates in it have a
    positive sum, or where they cancel, the first that isn't 0. Components of (nearly) equal
    singular values span a subspace that is determined; they themselves are not.

    Args:
        statistics: with the unit.
        unit: module path.
        components: to keep at most.

    Raises:
        OptionError: when ``components`` is less than 1.
        StatisticsError: when the unit was not recorded.
    """
    if components < 1:
        raise OptionError(f"components: expected 1 or more, found {components}")
    probes = UnitProbes.of(statistics, unit).unit_length()
    values, vectors = eigh(probes.gram)
    smallest = max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
    rank = int((values > smallest).sum())
    kept = np.arange(len(values))[::-1][: min(components, rank)]
    singular = np.sqrt(values[kept])
    return Factorization(
        unit=unit,
        singular_values=singular,
        coordinates=vectors[:, kept] * _signs(vectors[:, kept]) * singular,
        total=float(np.trace(probes.gram)),
        probes=probes,
    )


def _signs(vectors: Floats) -> Floats:
    """Return the sign that makes each column's sum, or first number, positive."""
    sums = vectors.sum(axis=0)
    sizes = np.abs(vectors)
    first = (sizes > 1e-9 * sizes.max(axis=0)).argmax(axis=0)
    leading = vectors[first, np.arange(vectors.shape[1])]
    decisive = np.abs(sums) > 1e-9 * sizes.sum(axis=0)
    signs: Floats = np.where(np.where(decisive, sums, leading) < 0, -1.0, 1.0)
    return signs
