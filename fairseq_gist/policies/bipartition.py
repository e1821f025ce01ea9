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

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import check_room, size_so_far
from fairseq_gist.policies.base import Policy, option, size_budget_option
from fairseq_gist.policies.dendrogram import DIGITS, merges
from fairseq_gist.policies.similarity import is_debiased, trusted_cosines
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import UnitShape

__all__ = ["GRANULARITIES", "Bipartition"]

GRANULARITIES = ("projection", "module", "layer")


def _check_splits(splits: int) -> None:
    if splits < 1:
        raise OptionError(f"expected 1 or more, found {splits}")


def _check_threshold(threshold: float) -> None:
    if not 0.0 <= threshold <= 2.0:
        raise OptionError(
            f"expected a distance from 0 (the same direction) to 2 (opposite), found {threshold}"
        )


class _Split(NamedTuple):
    """A group of languages on a module that could be two; the farthest apart sorts first."""

    negated_distance: float
    module: str
    halves: List[List[str]]


class Bipartition(Policy):
    """Split in two a few groups of languages, those whose halves' gradients are farthest apart."""

    name = "bipartition"
    summary = "split in two the groups whose halves' gradients are the farthest apart"
    needs_statistics = True
    goes_on = True

    @dataclass(frozen=True)
    class Options:
        """How much is split in one round, and what is split as one."""

        # what ends a round is the number of splits; a budget may be given beside
        size_budget: Optional[str] = size_budget_option(None)
        bipartition_splits: int = option(
            2,
            "groups of languages to split in two at most, in one round",
            metavar="N",
            check=_check_splits,
        )
        bipartition_threshold: float = option(
            0.0,
            "distance, 1 minus the cosine, that the halves of a group must exceed to be split",
            metavar="DISTANCE",
            check=_check_threshold,
        )
        bipartition_granularity: str = option(
            "projection",
            "what is split at a time: each 'projection', all those of a 'module' (one attention, "
            "one feed-forward block), or of a 'layer'; what is outside the layers is by itself",
            choices=GRANULARITIES,
        )

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan so far with a few groups of languages split in two.

        A split that would exceed the budget is passed over for the next.

        Raises:
            OptionError: when the budget is below the plan so far.
            PlanError: when the units of one module are split differently so far.
            StatisticsError: when the statistics are for other units, or lack one that the plan so
                far splits and whose size it doesn't say.
        """
        options, statistics = self.options, situation.recorded()
        modules: Dict[str, List[str]] = {}
        for unit in statistics.units:
            modules.setdefault(self._module_of(situation.shape.units[unit]), []).append(unit)
        # every unit by itself needs no second copy of the Gram matrices
        whole = options.bipartition_granularity == "projection"
        merged = statistics if whole else statistics.merged(modules)
        groups = _groups_so_far(modules, situation)
        made = self._splits(situation, merged, groups)
        units = {unit: groups[module] for module, own in modules.items() for unit in own}
        return self.plan(situation, units, {"split": made, "debiased": is_debiased(statistics)})

    def _module_of(self, unit: UnitShape) -> str:
        """Return the name of what ``unit`` is split together with."""
        place, granularity = unit.place, self.options.bipartition_granularity
        return {"projection": unit.name, "module": place.block, "layer": place.layer_path}[
            granularity
        ]

    def _splits(
        self,
        situation: Situation,
        merged: GradientStatistics,
        groups: Dict[str, List[List[str]]],
    ) -> List[Dict[str, Any]]:
        """Split ``groups``, and return what was split."""
        options, shared = self.options, situation.shape.shared_parameters
        added = dict(zip(merged.units, merged.unit_parameters.tolist()))
        size = size_so_far(situation)
        budget = options.size_budget
        limit = None if budget is None else parse_budget(budget, shared)
        if budget is not None and limit is not None:
            check_room(size, limit, budget)
        made: List[Dict[str, Any]] = []
        for negated, module, halves in sorted(_candidates(merged, groups)):
            if len(made) == options.bipartition_splits:
                break
            if -negated <= options.bipartition_threshold:
                break
            if limit is not None and size + added[module] > limit:
                continue
            size += added[module]
            joined = sorted(halves[0] + halves[1])
            groups[module] = [own for own in groups[module] if own != joined] + halves
            made.append({"module": module, "distance": -negated, "groups": halves})
        return made


def _groups_so_far(
    modules: Mapping[str, Sequence[str]], situation: Situation
) -> Dict[str, List[List[str]]]:
    """Return how each module is split so far; raise PlanError where its units disagree."""
    groups: Dict[str, List[List[str]]] = {}
    for module, units in modules.items():
        own = [situation.groups_so_far(unit) for unit in units]
        other = next((index for index, found in enumerate(own) if found != own[0]), None)
        if other is not None:
            raise PlanError(
                f"the plan so far splits '{units[0]}' and '{units[other]}' differently, so "
                f"'{module}' can't be split as one; choose a finer granularity"
            )
        groups[module] = [list(group) for group in own[0]]
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
