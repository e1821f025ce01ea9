"""Cosines that a policy may decide by: noise counts for nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["is_debiased", "trusted_cosines", "trusted_products"]


def is_debiased(statistics: GradientStatistics) -> bool:
    """Return whether every language has chunks enough (two) to tell signal from noise."""
    return min(statistics.chunks_per_language.values()) > 1


def trusted_cosines(statistics: GradientStatistics) -> NDArray[np.float64]:
    """Return the cosines between languages, `[units, languages, languages]`.

    Debiased where every language has two chunks or more. A pair whose cosine is not defined, or of
    whose gradients one can't be told from noise, has 0: no reason to share, none to split.

    Raises:
        StatisticsError: when a unit has no gradient for any language.
    """
    _check_gradients(statistics)
    debiased = is_debiased(statistics)
    cosines = np.nan_to_num(statistics.cosines(debiased), copy=False, nan=0.0)
    if debiased:
        signal = statistics.is_signal()
        cosines[~(signal[:, :, None] & signal[:, None, :])] = 0.0
    return cosines


def trusted_products(statistics: GradientStatistics) -> NDArray[np.float64]:
    """Return the mean inner products between languages, `[units, languages, languages]`.

    Debiased where every language has two chunks or more; 0 for a pair that then has none.

    Raises:
        StatisticsError: when a unit has no gradient for any language.
    """
    _check_gradients(statistics)
    return np.nan_to_num(statistics.products(is_debiased(statistics)), copy=False, nan=0.0)


def _check_gradients(statistics: GradientStatistics) -> None:
    without = [unit for unit, has in zip(statistics.units, statistics.has_gradient()) if not has]
    if without:
        raise StatisticsError(
            f"the gradients of '{without[0]}' are zero for every language, as of {len(without)} of "
            f"{len(statistics.units)} units: it was frozen while they were recorded "
            "(--encoder-freezing-updates, --train-only), and there is nothing to decide from; "
            "record later, or choose other units (--units)"
        )
