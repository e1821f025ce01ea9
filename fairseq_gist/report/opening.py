"""How the page begins: what was decided, from what, and what it brought; and one picture."""

from __future__ import annotations

from typing import List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from fairseq_gist.evaluation.results import Results
from fairseq_gist.evaluation.verdict import SIGNIFICANCE, verdicts
from fairseq_gist.report.figure import Figure
from fairseq_gist.report.figures.pairs import pairs_figure
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.sources import Content
from fairseq_gist.report.words import Answer
from fairseq_gist.sharing.description import name_pair
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Opening", "opening_of"]


class Opening(NamedTuple):
    """The top of the page.

    Attributes:
        sentences: three, each with what it answers.
        figure: one picture of the languages; None where neither gradients nor a plan tell of two.
    """

    sentences: List[Answer]
    figure: Optional[Figure]


def opening_of(contents: Sequence[Content], results: Sequence[Results]) -> Opening:
    """Sum up the runs.

    Args:
        contents: of the runs; each of them may lack anything.
        results: of their systems, those of one table first.
    """
    labels = {plan: label for content in contents for label, plan in content.plans.items()}
    plans = list(labels)
    statistics = {
        found.signature: Similarity(label, found)
        for content in contents
        for label, found in content.statistics.items()
    }
    similarities = list(statistics.values())
    return Opening(
        [
            Answer("What was decided?", _decided(plans)),
            Answer("From what?", _from_what(similarities)),
            Answer("What did it bring?", _brought(results)),
        ],
        _picture(similarities, labels),
    )


def _decided(plans: Sequence[SharingPlan]) -> str:
    if not plans:
        return "Not known: no plan was found, nor a checkpoint that has one."
    split = [sum(len(groups) > 1 for groups in plan.units.values()) for plan in plans]
    sizes = [
        plan.parameters / plan.shared_parameters
        for plan in plans
        if plan.parameters and plan.shared_parameters
    ]
    languages = f"{len(plans[0].languages)} languages"
    if len(plans) == 1:
        if not split[0]:
            return f"To share all {len(plans[0].units)} units of the plan among {languages}."
        size = f" and make the model {sizes[0]:.2f} times as large" if sizes else ""
        return (
            f"To split {split[0]} of {len(plans[0].units)} units of the model among "
            f"{languages}{size}; the plan is drawn below."
        )
    size = f", models {_range(sizes, '.2f')} times as large as the shared one" if sizes else ""
    return (
        f"{len(plans)} plans were found: they split {_range(split, 'd')} units among {languages}"
        f"{size}."
    )


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _from_what(similarities: Sequence[Similarity]) -> str:
    if not similarities:
        return "Not known: no gradient statistics were found."
    last = similarities[-1]
    languages = last.statistics.languages
    if not last.pairs:
        return f"From the gradients of one language alone, {languages[0]}: nothing to compare."
    update = last.statistics.provenance.get("update")
    when = f" after update {update:,}" if isinstance(update, int) else ""
    most = f" (the last of {len(similarities)})" if len(similarities) > 1 else ""
    start = f"From the gradients of {len(languages)} languages{when}{most}"
    pairs = last.of_pairs().value
    if np.isnan(pairs).all():
        return f"{start}, which are zero or nothing but noise."
    high, low = (last.pairs[int(place(pairs))] for place in (np.nanargmax, np.nanargmin))
    best, worst = np.nanmax(pairs), np.nanmin(pairs)
    if len(last.pairs) == 1:
        return f"{start}: {name_pair(*high)} have a mean cosine of {best:.2f}."
    return (
        f"{start}: {name_pair(*high)} agree most, with a mean cosine of {best:.2f}, and "
        f"{name_pair(*low)} least, with {worst:.2f}."
    )


def _brought(results: Sequence[Results]) -> str:
    if not results:
        return "Not known: no scores were found."
    first = results[0]
    more = f" There are {len(results)} tables below; this is the first." if results[1:] else ""
    lines = verdicts(first)
    if len(lines) == 1:
        return lines[0][:1].upper() + lines[0][1:] + more
    metric = next(iter(first.metrics.values()))
    choose, extreme = (max, "highest") if metric.higher_is_better else (min, "lowest")
    best = choose(first.entries, key=lambda entry: entry.mean(metric.name))
    found = [one.differences[metric.name].p < SIGNIFICANCE for one in first.comparisons]
    compared = (
        f"; of {len(found)} comparisons, {sum(found)} are significant at {SIGNIFICANCE} (p = how "
        "often chance would do the same)"
        if found
        else ""
    )
    return (
        f"Of {len(first.entries)} systems, {best.name} has the {extreme} average {metric.title}, "
        f"{metric.format(best.mean(metric.name))}{compared}.{more}"
    )


def _picture(
    similarities: Sequence[Similarity], labels: Mapping[SharingPlan, str]
) -> Optional[Figure]:
    """Draw the last statistics, with the last plan of the same languages."""
    similarity = next((one for one in reversed(similarities) if one.pairs), None)
    several = [plan for plan in labels if len(plan.languages) > 1 and plan.units]
    if similarity is not None:
        languages = similarity.statistics.languages
        several = [plan for plan in several if plan.languages == languages]
    if similarity is None and not several:
        return None
    plan = several[-1] if several else None
    return pairs_figure(similarity, plan, labels[plan] if plan else "")
