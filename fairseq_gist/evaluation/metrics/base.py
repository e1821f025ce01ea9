"""What a metric is: statistics of every sentence, and a corpus' score from those of its sentences.

Statistics are what a scores file keeps and what a significance test resamples, so that neither
needs the translations again. Most metrics are one of two kinds: :class:`SummedMetric`, whose score
depends on the sums of counts, as BLEU's does, and :class:`AveragedMetric`, the mean of a number a
sentence.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Sequence, Type, Union

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AveragedMetric",
    "Floats",
    "Measured",
    "Metric",
    "NoOptions",
    "Statistics",
    "SummedMetric",
    "Texts",
]

Floats = NDArray[np.float64]
Statistics = Union[NDArray[np.int32], Floats]
"""The statistics of one language's sentences, `[sentences, columns]`, in the references' order."""


@dataclass(frozen=True)
class NoOptions:
    """Of a metric that has none."""


class Texts(NamedTuple):
    """The translations of one language and what they are compared with, one a sentence each."""

    language: str
    """What they are written in, empty where that isn't known."""
    hypotheses: Sequence[str]
    references: Sequence[str]
    sources: Sequence[str]
    """What was said; empty where the manifest doesn't tell."""


class Measured(NamedTuple):
    """What a metric found in the texts of one language."""

    statistics: Statistics
    """`[sentences, columns]`."""
    signature: str
    """All that the score depends on beside the texts: versions, settings, which model."""


class Metric(ABC):
    """One way to score translations.

    ``options`` are an instance of the metric's own ``Options``, a frozen dataclass: the command
    line makes ``--NAME-FIELD`` of each field (see :mod:`fairseq_gist.cli.dataclass_options`), and
    a scores file keeps them.
    """

    name: ClassVar[str]
    """Its key in options and files: letters, digits, hyphens."""
    summary: ClassVar[str]
    """What it measures, in a line of help."""
    Options: ClassVar[Type[Any]] = NoOptions
    is_default: ClassVar[bool] = False
    """Whether translations are scored by it unless told otherwise."""
    higher_is_better: ClassVar[bool] = True
    digits: ClassVar[int] = 2
    """Decimals that tables show."""
    dtype: ClassVar[str] = "<i4"
    """Of the statistics in a scores file: whole numbers, or ``<f8``."""

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options

    @property
    @abstractmethod
    def title(self) -> str:
        """How it is written in tables."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """How many numbers a sentence has."""

    def check(self) -> None:  # noqa: B027 - most need nothing
        """Raise unless it can measure here; asked before the work.

        Raises:
            OptionError: where an option, a model or a library is missing.
        """

    @abstractmethod
    def measure(self, texts: Texts) -> Measured:
        """Return the statistics of one language's sentences.

        Raises:
            OptionError: where what this language needs is missing.
        """

    @abstractmethod
    def corpus_scores(self, statistics: Statistics, weights: Floats) -> Floats:
        """Return the scores of corpora that have each sentence so many times, `[corpora]`.

        Args:
            statistics: `[sentences, columns]`.
            weights: how often each sentence occurs, `[corpora, sentences]`.
        """

    def score(self, statistics: Statistics) -> float:
        """Return the score of the corpus that has every sentence once."""
        return float(self.corpus_scores(statistics, np.ones((1, len(statistics))))[0])

    def plain_options(self) -> Any:
        """Return the options as a scores file keeps them."""
        return dataclasses.asdict(self.options)

    def format(self, value: float, sign: str = "") -> str:
        """Write a score, or with ``+`` as the sign a difference, as tables show it."""
        return format(value, f"{sign}.{self.digits}f")


class SummedMetric(Metric):
    """A metric whose score depends on nothing but the sums of its sentences' counts."""

    @abstractmethod
    def score_of_sums(self, sums: Sequence[int]) -> float:
        """Return the score of a corpus of which ``sums`` are the summed counts, `[columns]`."""

    def corpus_scores(self, statistics: Statistics, weights: Floats) -> Floats:
        """Return the scores of corpora that have each sentence so many times, `[corpora]`."""
        # Whole numbers below 2^53: the products are exact, and BLAS is what makes this fast.
        sums = (weights @ statistics.astype(np.float64)).astype(np.int64)
        return np.array([self.score_of_sums(row) for row in sums.tolist()])


class AveragedMetric(Metric):
    """A metric whose score is the mean of one number a sentence."""

    dtype = "<f8"

    @property
    def columns(self) -> int:
        """One: the sentence's score."""
        return 1

    def corpus_scores(self, statistics: Statistics, weights: Floats) -> Floats:
        """Return the means over the sentences as often as each occurs, `[corpora]`."""
        means = (weights @ statistics[:, 0].astype(np.float64)) / weights.sum(axis=1)
        return np.asarray(means, dtype=np.float64)
