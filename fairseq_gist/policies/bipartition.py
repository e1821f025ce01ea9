"""Parameter differentiation, of Wang & Zhang (AAAI 2022), where the strategy of the papers began.

The paper's part: start shared; at set points of training cluster the languages of each shared
module in two, by average linkage on the cosine distance of their gradients; split the modules whose
clusters are the farthest apart. A plan of this policy is one such round, and the next refines it.

Our reading: a module is what ``granularity`` says, and the gradients of its units are concatenated;
languages that already are in groups of their own can be split further, each group by itself; the
distance between two clusters is the height of the last merge, the mean distance of their languages;
and a gradient that can't be told from noise is at a right angle to every other.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import Undecided, check_room, partition_so_far
from fairseq_gist.policies.dendrogram import DIGITS, merges
from fairseq_gist.policies.similarity import check_within, is_debiased, trusted_cosines
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.unit_names import UnitName

__all__ = ["GRANULARITIES", "bipartition_plan"]

GRANULARITIES: Mapping[str, Callable[[str], str]] = {
    "projection": lambda unit: unit,
    "module": lambda unit: UnitName.parse(unit).module_path,
    "layer": lambda unit: UnitName.parse(unit).layer_path,
}
"""What is split at a time -> the name of it that a unit belongs to."""


class _Split(NamedTuple):
    """A group of languages on a module that could be two; the farthest apart sorts first."""

    negated_distance: float
    module: str
    halves: List[List[str]]


def bipartition_plan(
    statistics: GradientStatistics,
    within: Optional[SharingPlan] = None,
    splits: int = 2,
    threshold: float = 0.0,
    granularity: str = "projection",
    budget: Optional[str] = None,
) -> SharingPlan:
    """Return the plan so far with a few groups of languages split in two.

    Args:
        statistics: of the units to decide on.
        within: the plan so far; everything is shared where there is none. Units that the statistics
            lack stay as they are in it.
        splits: of so many groups at most, those whose halves are the farthest apart.
        threshold: cosine distance, from 0 to 2, that the halves must exceed.
        granularity: what is split as one: each unit (``projection``), the projections of an
            attention or of a feed-forward block, or a norm (``module``), or a ``layer``. Outside
            the layers each unit is by itself.
        budget: see :func:`fairseq_gist.sharing.budget.parse_budget`; a split that would exceed it
            is passed over for the next.

    Raises:
        OptionError: for an option out of its range, or a budget below ``within``.
        PlanError: when the units of one module are split differently by ``within``.
        StatisticsError: when the statistics are for other languages than ``within``, or lack a
            unit that it splits and whose size it doesn't say.
    """
    _check_options(splits, threshold, granularity)
    check_within(statistics, within)
    modules: Dict[str, List[str]] = {}
    for unit in statistics.units:
        modules.setdefault(GRANULARITIES[granularity](unit), []).append(unit)
    # every unit by itself needs no second copy of the Gram matrices
    merged = statistics if granularity == "projection" else statistics.merged(modules)
    groups = _groups_so_far(statistics.languages, modules, within)

    kept = Undecided.of(within, statistics.units)
    parameters = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    added = dict(zip(merged.units, merged.unit_parameters.tolist()))
    shared = statistics.shared_parameters
    size = shared + kept.more + sum((len(groups[m]) - 1) * added[m] for m in modules)
    limit = None if budget is None else parse_budget(budget, shared)
    if budget is not None and limit is not None:
        check_room(size, limit, budget)

    made: List[Dict[str, Any]] = []
    for negated, module, halves in sorted(_candidates(merged, groups)):
        if len(made) == splits or -negated <= threshold:
            break
        if limit is not None and size + added[module] > limit:
            continue
        size += added[module]
        groups[module] = [
            own for own in groups[module] if own != sorted(halves[0] + halves[1])
        ] + halves
        made.append({"module": module, "distance": -negated, "groups": halves})
    units = {unit: groups[module] for module, own in modules.items() for unit in own}
    return SharingPlan(
        statistics.languages,
        {**kept.units, **{unit: units[unit] for unit in statistics.units}},
        {
            "policy": "bipartition",
            **({} if budget is None else {"size_budget": budget}),
            "granularity": granularity,
            "splits": splits,
            "threshold": threshold,
            "split": made,
            "debiased": is_debiased(statistics),
            "statistics": dict(statistics.provenance),
        },
        sizes={**kept.parameters, **parameters},
        shared_parameters=shared,
    )


def _check_options(splits: int, threshold: float, granularity: str) -> None:
    if granularity not in GRANULARITIES:
        raise OptionError(
            f"--granularity: expected one of {', '.join(GRANULARITIES)}, found '{granularity}'"
        )
    if splits < 1:
        raise OptionError(f"--splits: expected 1 or more, found {splits}")
    if not 0.0 <= threshold <= 2.0:
        raise OptionError(
            f"--threshold: a cosine distance goes from 0 to 2, which is not true of {threshold}"
        )


def _groups_so_far(
    languages: Sequence[str], modules: Mapping[str, Sequence[str]], within: Optional[SharingPlan]
) -> Dict[str, List[List[str]]]:
    """Return how each module is split so far; raise PlanError where its units disagree."""
    groups: Dict[str, List[List[str]]] = {}
    for module, units in modules.items():
        own = [partition_so_far(unit, languages, within) for unit in units]
        other = next((index for index, found in enumerate(own) if found != own[0]), None)
        if other is not None:
            raise PlanError(
                f"the plan so far splits '{units[0]}' and '{units[other]}' differently, so "
                f"'{module}' can't be split as one; choose a finer --granularity"
            )
        groups[module] = [[languages[index] for index in group] for group in own[0]]
    return groups


def _candidates(
    merged: GradientStatistics, groups: Mapping[str, Sequence[Sequence[str]]]
) -> Iterator[_Split]:
    """Yield the two halves of every group of two languages or more."""
    languages = merged.languages
    position = {language: index for index, language in enumerate(languages)}
    pairs = np.triu_indices(len(languages), k=1)
    for module, cosines in zip(merged.units, trusted_cosines(merged)):
        for group in groups[module]:
            own = [position[language] for language in group]
            tree = merges((-cosines[pairs]).tolist(), len(languages), [own], "average")
            if not tree:
                continue
            half = {index: [index] for index in own}
            for merge in tree[:-1]:
                joined = sorted(half[merge.one] + half[merge.other])
                half.update(dict.fromkeys(joined, joined))
            last = tree[-1]
            halves = sorted([half[last.one], half[last.other]])
            names = [[languages[index] for index in own] for own in halves]
            yield _Split(-round(1.0 + last.height, DIGITS), module, names)
