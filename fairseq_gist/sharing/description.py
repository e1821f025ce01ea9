"""A plan as a table that a person can take in at a glance."""

from __future__ import annotations

from itertools import combinations
from typing import Counter, Dict, List, Mapping, Tuple

from fairseq_gist.sharing.division import OWN
from fairseq_gist.sharing.plan import Partition, SharingPlan
from fairseq_gist.sharing.shape import Naming

__all__ = ["describe_groups", "describe_plan", "name_pair", "plan_in_words"]


def describe_groups(groups: Partition) -> str:
    """Return groups as ``de nl | es fr it``, ``shared``, or ``each its own``."""
    if len(groups) == 1:
        return "shared"
    if all(len(group) == 1 for group in groups):
        return "each its own"
    return " | ".join(" ".join(group) for group in groups)


def describe_plan(plan: SharingPlan, naming: Naming) -> str:
    """Return a table of units, number of copies, parameters and groups, with totals below.

    Parameters are left out where the plan doesn't know how large all of its units are.
    """
    sizes = plan.sizes if set(plan.units) <= set(plan.sizes) else None
    head = ("unit", "copies", *(("parameters",) if sizes else ()), "groups")
    rows: List[Tuple[str, ...]] = []
    for unit, groups in plan.units.items():
        size = (f"{sizes[unit] * len(groups):,}",) if sizes else ()
        rows.append((unit, str(len(groups)), *size, describe_groups(groups)))
    lines = _aligned([head, *rows], right=(1, 2) if sizes else (1,))
    lines.insert(1, "-" * max(len(line) for line in lines))
    lines += ["", plan_in_words(plan, naming)]
    total, shared = plan.parameters, plan.shared_parameters
    if total and shared:
        lines.append(
            f"{total:,} parameters, {total / shared:.2f} times the shared model's {shared:,}"
            + _budget_in_words(plan)
        )
    return "\n".join(lines)


def _budget_in_words(plan: SharingPlan) -> str:
    budget = plan.provenance.get("size_budget")
    if budget is None:
        return ""
    words = f"; the budget was {budget}"
    if plan.provenance.get("splits_all") is True:
        words += ", which is room for a copy for every language: nothing was decided within it"
    return words


def plan_in_words(plan: SharingPlan, naming: Naming) -> str:
    """Say which kinds of units split, and which languages stayed together."""
    split = {unit: groups for unit, groups in plan.units.items() if len(groups) > 1}
    words = [
        f"plan {plan.signature}: {len(split)} of {len(plan.units)} units are split among "
        f"{', '.join(plan.languages)}"
    ]
    if split:
        layers: Dict[str, List[int]] = {}
        for unit in plan.units:
            place = naming.place(unit)
            where = "outside the layers"
            if place.layer is not None:
                where = f"{place.stack} layer {place.layer}".strip()
            layers.setdefault(where, []).append(len(plan.units[unit]))
        words.append(
            "copies a unit, on average: "
            + ", ".join(f"{where} {sum(n) / len(n):.1f}" for where, n in layers.items())
        )
        pairs = [
            f"{name_pair(one, other)} ({share:.0%})"
            for share, one, other in _together(split, plan.languages)[:5]
        ]
        words.append(f"most often together on a split unit: {', '.join(pairs) or 'no pair'}")
    return "\n".join([*words, *_blocks(plan)])


def _blocks(plan: SharingPlan) -> List[str]:
    """Say of every feed-forward block that is divided, or was thought of, how much and why."""
    lines = []
    for first in dict.fromkeys([*plan.blocks, *plan.divisions]):
        division = plan.divisions.get(first)
        line = f"neurons of {first}: "
        if division is None:
            line += "all shared"
        else:
            groups = describe_groups(plan.units.get(f"{first}.{OWN}", (plan.languages,)))
            line += (
                f"{len(division.shared):,} of {division.neurons:,} shared "
                f"({division.shared_fraction:.0%}), the others {groups}"
            )
        why = plan.blocks.get(first, {}).get("why")
        if why is not None:
            line += f"; {why}"
        lines.append(line)
    return lines


def name_pair(one: str, other: str) -> str:
    """Return two languages as ``de-es``, those with hyphens as ``de-en / es-en``."""
    return f"{one} / {other}" if "-" in one + other else f"{one}-{other}"


def _together(
    split: Mapping[str, Partition], languages: Tuple[str, ...]
) -> List[Tuple[float, str, str]]:
    """Return pairs of languages by the share of split units on which they are one group.

    Those that never are are left out.
    """
    joint: Counter[Tuple[str, str]] = Counter()
    for groups in split.values():
        for group in groups:
            joint.update(combinations(group, 2))  # sorted, as all groups are
    pairs = [
        (joint[pair] / len(split), *pair) for pair in combinations(languages, 2) if pair in joint
    ]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))


def _aligned(rows: List[Tuple[str, ...]], right: Tuple[int, ...]) -> List[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
