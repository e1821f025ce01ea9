"""The cells of the tables, before Markdown or LaTeX is made of them."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Set, Tuple

from fairseq_gist.evaluation.metrics import Metric
from fairseq_gist.evaluation.results import Entry, Results
from fairseq_gist.evaluation.scores import AVERAGE
from fairseq_gist.evaluation.verdict import p_value

__all__ = ["Grid", "comparison_grid", "metric_grid"]

NONE = "-"
"""What stands where there is nothing to say."""


class Grid(NamedTuple):
    """A table: the first column is text, the others are numbers."""

    header: List[str]
    rows: List[List[str]]
    bold: Set[Tuple[int, int]]
    """Row and column of the cells that stand out."""


def metric_grid(results: Results, metric: Metric) -> Grid:
    """Lay out every system's scores by one metric, the best average in bold."""
    compared = bool(results.comparisons)
    others = {
        comparison.system
        for comparison in results.comparisons
        if comparison.against != results.baseline
    }
    header = [metric.title, "seeds", "parameters"]
    header += ["times"] * compared + [*results.languages, AVERAGE]
    average = len(header) - 1
    header += [f"p vs {results.baseline}"] * compared + ["p vs others"] * bool(others)
    rows = []
    for entry in results.entries:
        row = [entry.name, str(len(entry.runs)), _number(entry.parameters, ",.0f")]
        if compared:
            row.append(_number(results.times(entry, results.baseline), ".2f"))
        row += [metric.format(entry.mean(metric.name, one)) for one in results.languages]
        row.append(_average(entry, metric))
        if compared:
            row.append(_ps(results, entry.name, metric, baseline=True))
        if others:
            row.append(_ps(results, entry.name, metric, baseline=False))
        rows.append(row)
    return Grid(header, rows, {(row, average) for row in _best(results, metric)})


def comparison_grid(results: Results) -> Grid:
    """Lay out every comparison: differences of the averages, their intervals and p."""
    header = ["comparison"]
    for metric in results.metrics.values():
        header += [metric.title, "95 % interval", "p"]
    rows = []
    for comparison in results.comparisons:
        row = [f"{comparison.system} - {comparison.against}"]
        for name, metric in results.metrics.items():
            value, p, low, high = comparison.differences[name]
            shown, lowest, highest = (metric.format(one, "+") for one in (value, low, high))
            row += [shown, f"{lowest} to {highest}", p_value(p)]
        rows.append(row)
    return Grid(header, rows, set())


def _average(entry: Entry, metric: Metric) -> str:
    deviation = entry.deviation(metric.name)
    mean = metric.format(entry.mean(metric.name))
    return mean if deviation is None else f"{mean} ± {metric.format(deviation)}"


def _best(results: Results, metric: Metric) -> List[int]:
    """Return the rows whose average is the best as shown; none where there is one system."""
    shown = [round(entry.mean(metric.name), metric.digits) for entry in results.entries]
    best = max(shown) if metric.higher_is_better else min(shown)
    return [row for row, value in enumerate(shown) if value == best] if len(shown) > 1 else []


def _ps(results: Results, name: str, metric: Metric, baseline: bool) -> str:
    """Write the p of a system against the baseline, or those against others with their names."""
    cells = []
    for comparison in results.comparisons:
        if comparison.system == name and (comparison.against == results.baseline) == baseline:
            p = p_value(comparison.differences[metric.name].p)
            cells.append(p if baseline else f"{comparison.against}: {p}")
    return "; ".join(cells) or NONE


def _number(value: Optional[float], form: str) -> str:
    return NONE if value is None else format(value, form)
