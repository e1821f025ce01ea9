"""Does family explain which languages' gradients agree? A Mantel test."""

from __future__ import annotations

import math
from typing import Any, List, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

__all__ = ["FamilyTest", "compare_families"]

Floats = NDArray[np.float64]

RESAMPLES = 40_320
"""Permutations that are drawn where there are more than these; else every one is tried."""


class FamilyTest(NamedTuple):
    """What the test found.

    Attributes:
        within: mean cosine of pairs of one family.
        across: mean cosine of other pairs.
        correlation: of the pairs' cosines with whether the two are of one family.
        p: the share of permutations of the languages with a correlation as high, one-sided.
        languages: how many were compared.
        permutations: how many were tried.
        is_exact: whether they were all there are.
    """

    within: float
    across: float
    correlation: float
    p: float
    languages: int
    permutations: int
    is_exact: bool


def compare_families(matrix: Floats, families: List[Optional[str]]) -> Optional[FamilyTest]:
    """Test whether languages of one family are more similar than languages of different ones.

    Mantel (1967): the correlation between two matrices' entries above the diagonal, compared with
    those where the languages of one matrix are permuted, because entries of one language hang
    together and are no independent observations. One-sided, exact up to eight languages.

    Args:
        matrix: cosines `[languages, languages]`.
        families: of each language; those with None are left out, as are languages with an
            undefined cosine.

    Returns:
        None where the question can't be asked: fewer than four languages are left, all or none of
        their pairs are of one family, or all cosines are equal.
    """
    known = [place for place, family in enumerate(families) if family is not None]
    known = _defined(matrix, known)
    if len(known) < 4:
        return None
    cosines = matrix[np.ix_(known, known)]
    names = np.array([str(families[place]) for place in known])
    is_same = (names[:, None] == names[None, :]).astype(np.float64)
    above = np.triu_indices(len(known), k=1)
    same = is_same[above]
    if same.min() == same.max() or np.ptp(cosines[above]) < 1e-12:
        return None

    def correlation(order: NDArray[Any], axis: int = -1) -> Any:
        orders = np.moveaxis(np.asarray(order, dtype=np.intp), axis, -1)
        permuted = is_same[orders[..., above[0]], orders[..., above[1]]]
        centred = permuted - permuted.mean(axis=-1, keepdims=True)
        own = cosines[above] - cosines[above].mean()
        return (centred @ own) / np.sqrt((centred**2).sum(axis=-1) * (own**2).sum())

    total = math.factorial(len(known))
    found = permutation_test(
        (np.arange(len(known)),),
        correlation,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1_000,
        alternative="greater",
        random_state=1,
    )
    return FamilyTest(
        float(cosines[above][same == 1].mean()),
        float(cosines[above][same == 0].mean()),
        float(found.statistic),
        float(found.pvalue),
        len(known),
        min(total, RESAMPLES),
        total <= RESAMPLES,
    )


def _defined(matrix: Floats, places: List[int]) -> List[int]:
    """Leave out languages, the one with most undefined cosines first, until all are defined."""
    places = list(places)
    while places:
        undefined = np.isnan(matrix[np.ix_(places, places)]).sum(axis=1)
        if not undefined.any():
            break
        places.pop(int(undefined.argmax()))
    return places
