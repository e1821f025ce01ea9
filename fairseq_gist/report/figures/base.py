"""What a module of figures says of itself: the chapter it adds to, and from what it draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Sequence, Union

from fairseq_gist.evaluation.results import Results
from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.training_log import TrainingLog
from fairseq_gist.sharing.plan import SharingPlan

__all__ = [
    "PLAN",
    "RESULTS",
    "SIMILARITY",
    "TRAINING",
    "Drawing",
    "PlanSeen",
    "ResultsSeen",
    "SimilaritySeen",
    "TrainingSeen",
]

SIMILARITY, PLAN, TRAINING, RESULTS = "similarity", "plan", "training", "results"
"""Chapters. What is drawn from is a :class:`SimilaritySeen`, :class:`PlanSeen`,
:class:`TrainingSeen` or :class:`ResultsSeen`."""


@dataclass(frozen=True)
class Drawing:
    """What a module adds to a chapter; the module has it as ``DRAWING``."""

    name: str
    chapter: str
    place: int
    """Lower ones come first."""
    make: Callable[[Any], Sequence[Optional[Union[Figure, Missing]]]]
    """Returns the figures, or why there are none; None where there is nothing to say either."""


@dataclass(frozen=True)
class SimilaritySeen:
    """The gradients of one statistics file."""

    similarity: Similarity
    units: Sequence[str]
    """Regular expressions of units that were asked for."""


@dataclass(frozen=True)
class PlanSeen:
    """A plan."""

    label: str
    plan: SharingPlan
    order: Optional[List[str]]
    """The languages by similarity, where that is known."""
    is_folded: bool


@dataclass(frozen=True)
class TrainingSeen:
    """The logs of a run, whose figures have axes in common."""

    logs: Sequence[TrainingLog]


@dataclass(frozen=True)
class ResultsSeen:
    """The results by one metric."""

    results: Results
    metric: str
    source: str
    """The signature of the scores."""
