"""What the comparisons come to, in words."""

from __future__ import annotations

from typing import List

from fairseq_gist.evaluation.bootstrap import Difference
from fairseq_gist.evaluation.metrics import Metric
from fairseq_gist.evaluation.results import Comparison, Entry, Results

__all__ = ["SIGNIFICANCE", "p_value", "verdicts"]

SIGNIFICANCE = 0.05
"""A difference whose p is below this is called significant."""


def verdicts(results: Results) -> List[str]:
    """Say of every comparison who is ahead, by how much, and whether that is significant."""
    if not results.comparisons:
        return [
            f"{entry.name}: "
            + ", ".join(
                f"{metric.title} {metric.format(entry.mean(name))}"
                for name, metric in results.metrics.items()
            )
            + "."
            for entry in results.entries
        ]
    return [_verdict(results, comparison) for comparison in results.comparisons]


def p_value(p: float) -> str:
    """Write a p-value with three decimals.

    >>> p_value(0.2104), p_value(0.0001)
    ('0.210', '< 0.001')
    """
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def _verdict(results: Results, comparison: Comparison) -> str:
    entry, other = results.entry(comparison.system), results.entry(comparison.against)
    first = next(iter(results.metrics.values()))
    ahead = [
        f"{_languages_ahead(results, metric, entry, other)} by {metric.title}"
        for metric in results.metrics.values()
    ]
    relations = [
        _relation(comparison.differences[name], metric, other.name if metric is first else "it")
        for name, metric in results.metrics.items()
    ]
    line = (
        f"{entry.name} is {', '.join(relations)}, "
        f"ahead in {' and '.join(ahead)} of {len(results.languages)} languages"
    )
    times = results.times(entry, other.name)
    if times:
        line += f", with {times:.2f} times the parameters"
    return line + "."


def _languages_ahead(results: Results, metric: Metric, entry: Entry, other: Entry) -> int:
    sign = 1 if metric.higher_is_better else -1
    return sum(
        sign * entry.mean(metric.name, language) > sign * other.mean(metric.name, language)
        for language in results.languages
    )


def _relation(difference: Difference, metric: Metric, other: str) -> str:
    value = round(difference.value, metric.digits)
    if value:
        amount = metric.format(abs(value))
        relation = f"{amount} {metric.title} {'above' if value > 0 else 'below'} {other}"
    else:
        relation = f"level with {other} in {metric.title}"
    p = p_value(difference.p)
    chance = "significant" if difference.p < SIGNIFICANCE else "not significant"
    return f"{relation} (p {p if p[0] == '<' else '= ' + p}, {chance} at {SIGNIFICANCE})"
