"""Ways to score translations, one a file: a module here with a class ``METRIC`` is one of them."""

from __future__ import annotations

from typing import Dict, List, Type

from fairseq_gist.discovery import found_in
from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import (
    AveragedMetric,
    Measured,
    Metric,
    NoOptions,
    Statistics,
    SummedMetric,
    Texts,
)

__all__ = [
    "AveragedMetric",
    "Measured",
    "Metric",
    "NoOptions",
    "Statistics",
    "SummedMetric",
    "Texts",
    "all_metrics",
    "default_metrics",
    "metric_called",
]


def all_metrics() -> Dict[str, Type[Metric]]:
    """Return every metric by its name."""
    return found_in(__name__, "METRIC", Metric)


def default_metrics() -> List[Metric]:
    """Return what translations are scored by unless told otherwise, with default options."""
    return [metric() for metric in all_metrics().values() if metric.is_default]


def metric_called(name: str) -> Type[Metric]:
    """Return the metric of that name.

    Raises:
        OptionError: when there is none.
    """
    known = all_metrics()
    if name not in known:
        raise OptionError(f"'{name}' is none of the metrics {', '.join(known)}")
    return known[name]
