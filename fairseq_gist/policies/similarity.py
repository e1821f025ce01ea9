"""Cosines that a policy may decide by: noise counts for nothing."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import Undecided
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["check_within", "is_debiased", "trusted_cosines"]


def is_debiased(statistics: GradientStatistics) -> bool:
    """Return whether every language has chunks enough (two) to tell signal from noise."""
    return min(statistics.chunks_per_language.values()) > 1


def trusted_cosines(statistics: GradientStatistics) -> NDArray[np.float64]:
    """Return the cosines between languages, `[units, languages, languages]`.

    Debiased where every language has two chunks or more. A pair whose cosine is not defined, or of
    whose gradients one can't be told from noise, has 0: no reason to share, none to split.
    """
    debiased = is_debiased(statistics)
    cosines = np.nan_to_num(statistics.cosines(debiased), copy=False, nan=0.0)
    if debiased:
        signal = statistics.is_signal()
        cosines[~(signal[:, :, None] & signal[:, None, :])] = 0.0
    return cosines


def check_within(statistics: GradientStatistics, within: Optional[SharingPlan]) -> None:
    """Check that a plan so far and statistics go together.

    Raises:
        StatisticsError: when they are for other languages, or the plan splits a unit that the
            statistics lack, and doesn't say its size.
    """
    unknown = Undecided.of(within, statistics.units).unknown
    if within is not None and within.languages != statistics.languages:
        raise StatisticsError(
            f"the statistics are for languages {', '.join(statistics.languages)}, the plan so far "
            f"for {', '.join(within.languages)}"
        )
    if unknown:
        raise StatisticsError(
            f"the plan so far splits '{unknown[0]}', which the statistics lack, so its size isn't "
            "known; record gradients of that unit too, or write its number of parameters into "
            "the plan ('sizes')"
        )
