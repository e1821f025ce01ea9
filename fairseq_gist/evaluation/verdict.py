"""What the comparisons come to, in words."""

from __future__ import annotations

from typing import List

from fairseq_gist.evaluation.bootstrap import Difference
from fairseq_gist.evaluation.results import Comparison, Results
from fairseq_gist.evaluation.sentences import METRICS

__all__ = ["SIGNIFICANCE", "p_value", "verdicts"]

SIGNIFICANCE = 0.05
"""A difference whose p is below this is called significant."""


def verdicts(results: Results) -> List[str]:
    """Say of every comparison who is ahead, by how much, and whether that is significant."""
    if not results.comparisons:
        return [
            f"{entry.name}: "
            + ", ".join(f"{results.title(metric)} {entry.mean(metric):.2f}" for metric in METRICS)
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
    bleu, chrf = (comparison.differences[metric] for metric in ("bleu", "chrf"))
    entry, other = results.entry(comparison.system), results.entry(comparison.against)
    ahead = sum(
        entry.mean("bleu", language) > other.mean("bleu", language)
        for language in results.languages
    )
    line = (
        f"{entry.name} is {_relation(bleu, 'BLEU', other.name)}, "
        f"{_relation(chrf, results.title('chrf'), 'it')}, "
        f"ahead in {ahead} of {len(results.languages)} languages"
    )
    times = results.times(entry, other.name)
    if times:
        line += f", with {times:.2f} times the parameters"
    return line + "."


def _relation(difference: Difference, title: str, other: str) -> str:
    value = round(difference.value, 2)
    if value:
        relation = f"{abs(value):.2f} {title} {'above' if value > 0 else 'below'} {other}"
    else:
        relation = f"level with {other} in {title}"
    p = p_value(difference.p)
    chance = "significant" if difference.p < SIGNIFICANCE else "not significant"
    return f"{relation} (p {p if p[0] == '<' else '= ' + p}, {chance} at {SIGNIFICANCE})"
