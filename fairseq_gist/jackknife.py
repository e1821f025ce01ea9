"""Intervals for whatever is computed from cosines, by leaving out one chunk of data at a time."""

from __future__ import annotations

from typing import Callable, List, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from fairseq_gist.statistics import GradientStatistics

__all__ = ["LEVEL", "Estimate", "Jackknife"]

LEVEL = 0.95
"""How often an interval should hold the true value."""

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A value and the ends of its interval, arrays of one shape.

    The ends are NaN where there is no interval: fewer than three chunks, or one without which the
    value is not defined.
    """

    value: Floats
    low: Floats
    high: Floats

    @property
    def is_below_zero(self) -> NDArray[np.bool_]:
        """Where the whole interval is negative."""
        return self.high < 0

    @property
    def is_above_zero(self) -> NDArray[np.bool_]:
        """Where the whole interval is positive."""
        return self.low > 0


class Jackknife:
    """The cosines of gradient statistics, all together and without each chunk in turn.

    The delete-one jackknife (Tukey 1958; Efron and Tibshirani 1993, chapter 11): with t(c) what
    is computed without chunk c of n, the squared standard error is (n - 1) / n times the sum of
    (t(c) - mean of t)². The interval is that of Student's t with n - 1 degrees of freedom. A chunk
    is left out for all languages at once, because what they share in it (the utterances of a
    multi-way aligned set) makes their probes move together.

    Chunks have to be independent: sentences dealt out to them in turn are.

    Args:
        statistics: with one chunk only, cosines are biased and there are no intervals.

    Attributes:
        cosines: `[units, languages, languages]`, NaN where undefined; debiased if there are two
            chunks or more.
        chunks: how many there are.
    """

    def __init__(self, statistics: GradientStatistics) -> None:
        chunks = sorted(set(statistics.probe_chunks.tolist()))
        self.chunks = len(chunks)
        self.is_debiased = self.chunks > 1
        self.cosines = statistics.cosines(self.is_debiased)
        self._without: List[Floats] = []
        if self.chunks > 2:
            self._without = [statistics.cosines(without_chunk=chunk) for chunk in chunks]

    def estimate(self, summary: Callable[[Floats], Floats]) -> Estimate:
        """Return ``summary`` of the cosines with its interval.

        Args:
            summary: a function of `[units, languages, languages]` that returns an array, always of
                the same shape.
        """
        value = np.asarray(summary(self.cosines), dtype=np.float64)
        if not self._without:
            return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
        without = np.array([summary(cosines) for cosines in self._without])
        squares = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
        error = np.sqrt((self.chunks - 1) / self.chunks * squares)
        reach = float(student_t.ppf((1 + LEVEL) / 2, self.chunks - 1)) * error
        return Estimate(value, value - reach, value + reach)
