"""From divergence to capacity: which share of a layer's neurons all the languages share."""

from __future__ import annotations

import math
from typing import Callable, Mapping

from fairseq_gist.errors import OptionError, StatisticsError

__all__ = ["ALLOCATIONS", "LEAST_SHARED", "MOST_SHARED", "shared_fraction"]

MOST_SHARED = 0.75
LEAST_SHARED = 0.25


def _steps(delta: float) -> float:
    if delta < 0.05:
        return MOST_SHARED
    return 0.5 if delta < 0.15 else LEAST_SHARED


def _continuous(delta: float) -> float:
    return min(MOST_SHARED, max(LEAST_SHARED, 0.75 - 2.5 * delta))


ALLOCATIONS: Mapping[str, Callable[[float], float]] = {"continuous": _continuous, "steps": _steps}
"""How a divergence becomes a share, by name."""


def shared_fraction(delta: float, allocation: str = "continuous") -> float:
    """Return the share of the neurons that stay shared, from 0.25 to 0.75.

    ``steps`` are those of Sun & Nakamura (2026): 75 % below a delta of 0.05, 50 % below 0.15, 25 %
    from there on. ``continuous`` is one line, 0.75 - 2.5 delta, cut off at both ends, and ours: it
    agrees with the steps at 0 and below, at 0.1 (the middle of the middle step) and from 0.2 on,
    lies half-way between them at 0.05 and 0.15, and is never farther than 0.125 from them.

    >>> [shared_fraction(delta) for delta in (-0.1, 0.0, 0.1, 0.3)]
    [0.75, 0.75, 0.5, 0.25]

    Args:
        delta: self-similarity minus cross-similarity.
        allocation: one of :data:`ALLOCATIONS`.

    Raises:
        OptionError: for another allocation.
        StatisticsError: when delta is NaN.
    """
    if allocation not in ALLOCATIONS:
        raise OptionError(
            f"allocation: expected one of {', '.join(ALLOCATIONS)}, found '{allocation}'"
        )
    if math.isnan(delta):
        raise StatisticsError(
            "no capacity can be allocated: the divergence of the languages isn't defined; it takes "
            "two languages, and two chunks of each, whose gradients aren't zero"
        )
    return ALLOCATIONS[allocation](delta)
