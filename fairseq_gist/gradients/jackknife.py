"""How far a figure would move with other chunks of data: the delete-one-chunk jackknife.

With n chunks and t(c) the figure without chunk c, the squared standard error is (n - 1) / n times
the sum of (t(c) - mean of t)² (Tukey 1958; Efron and Tibshirani 1993, chapter 11), and the interval
the figure and Student's t with n - 1 degrees of freedom times the error to both sides. A chunk is
left out for all languages at once, because what they share in it (the utterances of a multi-way
aligned set) makes their probes move together.

Chunks have to be independent: sentences dealt out to them in turn are. For means of products of two
different chunks, which are U-statistics, the interval is right for many chunks (Arvesen 1969), and
too wide where the gradients are nothing but noise.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["CONFIDENCE", "CosineJackknife", "Estimate", "delete_one_chunk"]

CONFIDENCE = 0.95
"""How often an interval should hold the true value."""

Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure and the ends of its interval, arrays of one shape.

    The ends are NaN where there is no interval: fewer than three chunks, or a figure that isn't
    defined, with all chunks or without one of them.
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


def delete_one_chunk(
    chunks: NDArray[np.int64],
    figure: Callable[[NDArray[np.bool_]], Floats],
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Return a figure, or an array of them, with the interval.

    Args:
        chunks: chunk of each probe, `[probes]`.
        figure: from which probes are kept, `[probes]`, to the figure.
        confidence: of the interval.
    """
    different = np.unique(chunks)
    without = [figure(chunks != chunk) for chunk in different] if len(different) > 2 else []
    return _interval(figure(np.ones(len(chunks), dtype=bool)), without, confidence)


class CosineJackknife:
    """The cosines of gradient statistics, all together and without each chunk in turn.

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
            self._without = [
                statistics.cosines(without_chunk=chunk, clipped=False) for chunk in chunks
            ]

    def estimate(self, summary: Callable[[Floats], Floats], is_mean: bool = True) -> Estimate:
        """Return ``summary`` of the cosines with its interval.

        A cosine that noise has carried past 1 is clipped, and so are those without one chunk: all
        are the same, and nothing seems as certain as what is all noise. So the interval of a single
        cosine is that of the values as they are, and its ends may pass 1 as well. In a mean over
        many, one such value would drown the others; it is a mean of clipped ones throughout.

        Args:
            summary: a function of `[units, languages, languages]` that returns an array, always of
                the same shape.
            is_mean: whether what it returns are means over several cosines, not single ones.
        """
        without = (np.clip(one, -1.0, 1.0) if is_mean else one for one in self._without)
        return _interval(summary(self.cosines), [summary(cosines) for cosines in without])


def _interval(whole: Floats, without: List[Floats], confidence: float = CONFIDENCE) -> Estimate:
    value = np.asarray(whole, dtype=np.float64)
    if not without:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    error = np.sqrt((len(without) - 1) * np.var(np.array(without, dtype=np.float64), axis=0))
    reach = float(student_t.ppf((1 + confidence) / 2, len(without) - 1)) * error
    return Estimate(value, value - reach, value + reach)
