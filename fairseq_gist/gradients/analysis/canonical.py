"""Canonical correlation of two languages' gradients on the same chunks, with ridge and a null."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.factorization import Factorization
from fairseq_gist.gradients.analysis.permutation import p_values

__all__ = ["CanonicalCorrelation", "canonical_correlation"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CanonicalCorrelation:
    """How the gradients of two languages vary together from chunk to chunk.

    Attributes:
        unit: module path.
        languages: the two.
        pairs: number of chunks that both have.
        correlations: the largest first, `[components]`, shrunk by the ridge; NaN with fewer than
            four pairs, and none where all the gradients are zero.
        p_value: how often the sum of their squares is as large with the pairs at random; NaN as
            above.
    """

    unit: str
    languages: Tuple[str, str]
    pairs: int
    correlations: Floats
    p_value: float


def canonical_correlation(
    factorization: Factorization,
    one: str,
    other: str,
    components: Optional[int] = None,
    ridge: float = 0.1,
    permutations: int = 999,
    seed: int = 0,
) -> CanonicalCorrelation:
    """Return the ridge canonical correlations of two languages in the joint basis.

    Rows are paired: the two languages' gradients on the same chunk, of the same utterances where
    these have all the translations. With Z and W their coordinates minus the mean over the chunks,
    `[pairs, components]`, the correlations are the singular values of
    (ZᵀZ + kI)^-½ ZᵀW (WᵀW + lI)^-½ (Hotelling 1936, with the ridge of Vinod 1976), where k and l
    are ``ridge`` times the mean of the eigenvalues of ZᵀZ and of WᵀW.

    The mean gradients take no part: whether these agree is what cosines say. With as many
    components as chunks, any two languages would correlate perfectly. Under the null hypothesis
    that the two vary independently, their chunks can be paired in any order; the joint basis
    doesn't depend on it.

    Args:
        factorization: of the unit.
        one: language.
        other: language.
        components: of the joint basis, the first; a third of the pairs, but at least one, if None.
        ridge: more shrinks the correlations, and weighs directions by how much varies in them.
        permutations: drawn for the p-value.
        seed: of the permutations.

    Raises:
        OptionError: for components that the basis or the number of pairs doesn't allow, or a
            negative ridge.
        StatisticsError: for a language that isn't there.
    """
    if ridge < 0:
        raise OptionError(f"ridge: expected 0 or more, found {ridge}")
    left, right = (_by_chunk(factorization, language) for language in (one, other))
    both = sorted(set(left) & set(right))
    available = min(factorization.coordinates.shape[1], max(1, len(both) - 2))
    if components is None:
        components = min(available, max(1, len(both) // 3))
    elif not 1 <= components <= available:
        raise OptionError(
            f"components: expected 1 to {available} for the {len(both)} chunks that {one} and "
            f"{other} both have on '{factorization.unit}', found {components}"
        )
    if len(both) < 4 or components == 0:
        unknown = np.full(components, np.nan)
        return CanonicalCorrelation(
            factorization.unit, (one, other), len(both), unknown, float("nan")
        )
    first, second = (
        _whitened(np.array([rows[chunk][:components] for chunk in both]), ridge)
        for rows in (left, right)
    )
    generator = np.random.default_rng(seed)
    order = generator.random((permutations, len(both))).argsort(axis=1)
    found = np.linalg.svd(first.T @ second, compute_uv=False)
    drawn = ((first.T @ second[order]) ** 2).sum(axis=(1, 2))
    return CanonicalCorrelation(
        unit=factorization.unit,
        languages=(one, other),
        pairs=len(both),
        correlations=np.clip(found, 0.0, 1.0),
        p_value=float(p_values(np.array((found**2).sum()), drawn)),
    )


def _by_chunk(factorization: Factorization, language: str) -> Dict[int, Floats]:
    """Return a language's mean coordinates in each of its chunks."""
    probes = factorization.probes
    if language not in probes.languages:
        raise StatisticsError(
            f"the gradient statistics have no language '{language}'; they are for "
            f"{', '.join(probes.languages)}"
        )
    own = probes.labels == probes.languages.index(language)
    return {
        int(chunk): factorization.coordinates[own & (probes.chunks == chunk)].mean(axis=0)
        for chunk in np.unique(probes.chunks[own])
    }


def _whitened(rows: Floats, ridge: float) -> Floats:
    """Return Z (ZᵀZ + kI)^-½ up to a rotation of its columns, of the centred rows Z."""
    centred = rows - rows.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    squares = s**2
    shrunk = squares + ridge * squares.mean()
    # what doesn't vary correlates with nothing
    real = s > 1e-9 * max(float(np.abs(rows).max(initial=0.0)), float(s[0]))
    factors = np.sqrt(np.divide(squares, shrunk, out=np.zeros_like(s), where=real))
    whitened: Floats = u * factors
    return whitened
