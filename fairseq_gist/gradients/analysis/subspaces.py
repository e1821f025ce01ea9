"""The angles between the subspaces in which the languages' gradients lie."""

from __future__ import annotations

from typing import List

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svdvals

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.analysis.probes import UnitProbes
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["principal_cosines"]

Floats = NDArray[np.float64]


def principal_cosines(statistics: GradientStatistics, unit: str, dimensions: int = 1) -> Floats:
    """Return the cosines of the principal angles between languages' subspaces, largest first.

    A language's subspace is spanned by the first right singular vectors of its probes, scaled to
    length 1; the cosines of the principal angles between two are the singular values of the
    product of their orthonormal bases (Björck & Golub 1973). 1 means a direction that both have,
    0 that the rest of the two is at right angles. Directions count without sign, so that
    languages in conflict have one in common.

    Nothing is debiased here: what two languages share within a chunk counts, and with noise the
    largest cosine of two subspaces of several dimensions is never near 0. Compare pairs with one
    another rather than with 0.

    Args:
        statistics: with the unit.
        unit: module path.
        dimensions: of each subspace.

    Returns:
        `[languages, languages, dimensions]`; NaN beyond the rank of one of the two languages'
        probes.

    Raises:
        OptionError: when ``dimensions`` is less than 1.
        StatisticsError: when the unit was not recorded.
    """
    if dimensions < 1:
        raise OptionError(f"dimensions: expected 1 or more, found {dimensions}")
    probes = UnitProbes.of(statistics, unit).unit_length()
    count = len(probes.languages)
    bases: List[Floats] = [
        _basis(probes.gram, np.flatnonzero(probes.labels == own), dimensions)
        for own in range(count)
    ]
    found = np.full((count, count, dimensions), np.nan)
    for one in range(count):
        for other in range(count):
            product = bases[one].T @ probes.gram @ bases[other]
            if product.size:
                cosines = np.clip(svdvals(product), 0.0, 1.0)
                found[one, other, : len(cosines)] = cosines
    return found


def _basis(gram: Floats, own: NDArray[np.intp], dimensions: int) -> Floats:
    """Return an orthonormal basis as combinations of all the probes, `[probes, dimensions]`."""
    values, vectors = eigh(gram[np.ix_(own, own)])
    smallest = max(values[-1], 0.0) * len(gram) * np.finfo(np.float64).eps
    kept = np.flatnonzero(values > smallest)[::-1][:dimensions]
    basis = np.zeros((len(gram), len(kept)))
    basis[own] = vectors[:, kept] / np.sqrt(values[kept])
    return basis
