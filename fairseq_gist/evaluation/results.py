"""The results of an experiment: systems with their seeds, and the comparisons between them."""

from __future__ import annotations

import statistics
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.evaluation.bootstrap import (
    Difference,
    compare,
    interval,
    resampled_averages,
    resampled_scores,
)
from fairseq_gist.evaluation.metrics import Metric
from fairseq_gist.evaluation.scores import AVERAGE
from fairseq_gist.evaluation.scores_file import Run

__all__ = [
    "Comparison",
    "Entry",
    "Results",
    "check_comparable",
    "collect",
    "metrics_of",
    "pairs_of",
]


Resampled = Mapping[str, Mapping[str, Mapping[str, NDArray[np.float64]]]]
"""Metric -> system -> language -> the score on every resample, `[resamples]`."""


class Entry(NamedTuple):
    """A system with its seeds."""

    name: str
    runs: List[Run]

    @property
    def parameters(self) -> Optional[float]:
        """The parameter count, the mean of the seeds' where they differ; None if one is unknown."""
        counts = [run.parameters for run in self.runs]
        known = [count for count in counts if count is not None]
        return statistics.mean(known) if len(known) == len(counts) else None

    def mean(self, metric: str, column: str = AVERAGE) -> float:
        """Return the mean over the seeds of a language's score, or of the average."""
        return statistics.mean(run.scores.of(metric)[column] for run in self.runs)

    def deviation(self, metric: str) -> Optional[float]:
        """Return the seeds' standard deviation (n - 1) of the average, None for one seed."""
        averages = [run.scores.of(metric)[AVERAGE] for run in self.runs]
        return statistics.stdev(averages) if len(averages) > 1 else None


class Comparison(NamedTuple):
    """One system against another, by every metric."""

    system: str
    against: str
    differences: Dict[str, Difference]


class Results(NamedTuple):
    """All that the tables show."""

    entries: List[Entry]
    metrics: Dict[str, Metric]
    """By name: what all systems were scored by."""
    baseline: str
    comparisons: List[Comparison]
    resamples: int
    seed: int
    resampled: Resampled
    """Empty where nothing was resampled."""

    def interval(self, name: str, metric: str, column: str = AVERAGE) -> Tuple[float, float]:
        """Return the 95 % interval of a system's score in a language, or of the average."""
        scores = self.resampled[metric][name]
        return interval(resampled_averages(scores) if column == AVERAGE else scores[column])

    @property
    def languages(self) -> List[str]:
        """The languages in alphabetical order."""
        return list(self.entries[0].runs[0].scores.sentences)

    def title(self, metric: str) -> str:
        """Return how the metric of that name is written, the same for all systems."""
        return self.metrics[metric].title

    def entry(self, name: str) -> Entry:
        """Return the system of that name."""
        return next(entry for entry in self.entries if entry.name == name)

    def times(self, entry: Entry, other: str) -> Optional[float]:
        """Return how many times the other system's parameters this one has, None if unknown."""
        own, others = entry.parameters, self.entry(other).parameters
        return own / others if own and others else None


def pairs_of(
    names: Sequence[str], baseline: str, against: Sequence[Tuple[str, str]]
) -> List[Tuple[str, str]]:
    """Return who is compared with whom, each pair once: all with the baseline, then ``against``.

    Raises:
        OptionError: when a name is none of ``names``, or a system is to be compared with itself.
    """
    for option, name in [
        ("--baseline", baseline),
        *(("--against", name) for pair in against for name in pair),
    ]:
        if name not in names:
            raise OptionError(f"{option}: '{name}' is none of the systems {', '.join(names)}")
    for name, other in against:
        if name == other:
            raise OptionError(f"--against {name}={other}: a system is compared with another one")
    pairs = [(name, baseline) for name in names if name != baseline]
    return list(dict.fromkeys([*pairs, *against]))


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise unless all were scored on the same references, by one metric at least, all alike.

    Raises:
        DataError: naming the two that differ, and in what.
    """
    first = runs[0]
    for run in runs[1:]:
        _check_references(first, run)
        for name, other in first.scores.by_metric.items():
            own = run.scores.by_metric.get(name)
            if own is not None and own.signature != other.signature:
                raise DataError(
                    f"system '{run.name}' ({run.source}) has {own.metric.title} of the signature "
                    f"{own.signature}, '{first.name}' ({first.source}) of {other.signature}; score "
                    "both with one version and one setting"
                )
    if not metrics_of(runs):
        found = "; ".join(f"'{run.name}' by {', '.join(run.scores.by_metric)}" for run in runs)
        raise DataError(f"the systems were scored by no metric in common: {found}")


def metrics_of(runs: Sequence[Run]) -> Dict[str, Metric]:
    """Return what all runs were scored by, by name."""
    return {
        name: scored.metric
        for name, scored in runs[0].scores.by_metric.items()
        if all(name in run.scores.by_metric for run in runs)
    }


def _check_references(first: Run, run: Run) -> None:
    pair = f"system '{run.name}' ({run.source}) and '{first.name}' ({first.source})"
    own, others = run.scores.sentences, first.scores.sentences
    if own.keys() != others.keys():
        raise DataError(
            f"{pair}: expected the same languages, found {', '.join(own)} of '{run.subset}' and "
            f"{', '.join(others)} of '{first.subset}'"
        )
    for language in own:
        if own[language].references != others[language].references:
            raise DataError(
                f"{pair}: expected the same references, found different ones for '{language}': "
                f"{own[language].count} of '{run.subset}' and "
                f"{others[language].count} of '{first.subset}'"
            )


def collect(
    runs: Sequence[Run],
    baseline: str,
    pairs: Sequence[Tuple[str, str]],
    resamples: int,
    seed: int,
    with_intervals: bool = False,
) -> Results:
    """Bring seeds together, systems in the order of their first, and make the comparisons.

    Args:
        runs: checked to be comparable.
        baseline: what all others are compared with.
        pairs: who is compared with whom.
        resamples: of the paired bootstrap.
        seed: of the bootstrap.
        with_intervals: whether to resample even if nothing is compared.
    """
    by_name: Dict[str, List[Run]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(run)
    entries = [Entry(name, own) for name, own in by_name.items()]
    metrics = metrics_of(runs)
    resampled: Resampled = {}
    if pairs or with_intervals:
        systems = [[run.scores for run in entry.runs] for entry in entries]
        scores = resampled_scores(systems, list(metrics.values()), resamples, seed)
        resampled = {metric: dict(zip(by_name, own)) for metric, own in scores.items()}
    comparisons = _comparisons(entries, pairs, resampled)
    return Results(entries, metrics, baseline, comparisons, resamples, seed, resampled)


def _comparisons(
    entries: Sequence[Entry], pairs: Sequence[Tuple[str, str]], resampled: Resampled
) -> List[Comparison]:
    by_name = {entry.name: entry for entry in entries}
    return [
        Comparison(
            name,
            other,
            {
                metric: compare(
                    by_name[name].mean(metric) - by_name[other].mean(metric),
                    resampled_averages(resampled[metric][name]),
                    resampled_averages(resampled[metric][other]),
                )
                for metric in resampled
            },
        )
        for name, other in pairs
    ]
