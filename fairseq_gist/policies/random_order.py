"""The random policy of Wang et al. (Interspeech 2022), table 1.

The same procedure as the gradient-guided policy, with the order of the pairs drawn at random: what
a gradient-guided plan of the same size has to be better than. The order comes from a hash of the
names, so a seed means the same plan on every machine, whatever the order of languages and units.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np

from fairseq_gist.policies.agglomeration import (
    FillsBudget,
    Join,
    agglomerate,
    indices_so_far,
    room_for_all,
)
from fairseq_gist.policies.base import PlanSeed, SizeBudget
from fairseq_gist.policies.copies import KindOfCopies, kind_of_copies
from fairseq_gist.policies.dendrogram import merges
from fairseq_gist.policies.drawing import drawn
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["RandomOrder"]


class RandomOrder(FillsBudget):
    """Join pairs of languages in a random order until the model fits the budget."""

    name = "random"
    summary = "share what a random order says, within the budget"
    goes_on = True

    @dataclass(frozen=True)
    class Options(KindOfCopies, PlanSeed, SizeBudget):
        """How large the model may become, of what copies, and the seed of the order."""

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan that joins pairs of languages in a random order and fits the budget.

        Raises:
            OptionError: when the budget is below the shared model, or below the plan so far.
            PlanError: when the plan so far splits a unit of unknown size that isn't decided on.
        """
        copies, budget = kind_of_copies(situation, self.options), self.options.size_budget
        chosen = copies.splittable(situation.chosen())
        joins = _joins(chosen, self.options.plan_seed, situation)
        groups = agglomerate(situation, chosen, joins, budget, copies)
        facts = {"splits_all": room_for_all(situation, chosen, budget, copies)}
        units, low_rank = copies.parts(groups)
        return self.plan(situation, units, facts, low_rank=low_rank)


def _joins(units: Sequence[str], seed: int, situation: Situation) -> List[Join]:
    """Return the pairs that would join two groups of a unit if there were no budget, in order.

    Of all pairs of a unit in the order drawn, those are its spanning tree: single linkage finds it.
    """
    languages = situation.languages
    found: List[Tuple[str, Join]] = []
    for unit in units:
        joins = [Join(unit, *pair) for pair in itertools.combinations(languages, 2)]
        lots = [drawn([seed, *join]) for join in joins]
        order = np.argsort(np.array(lots))
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        groups = indices_so_far(situation, unit)
        for merge in merges(rank.tolist(), len(languages), groups, "single"):
            pair = int(order[int(merge.height)])
            found.append((lots[pair], joins[pair]))
    return [join for _, join in sorted(found)]
