"""The random policy of Wang et al. (Interspeech 2022), table 1.

The same procedure as the gradient-guided policy, with the order of the pairs drawn at random: what
a gradient-guided plan of the same size has to be better than. The order comes from a hash of the
names, so a seed means the same plan on every machine, whatever the order of languages and units.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

from fairseq_gist.errors import PlanError
from fairseq_gist.policies.agglomeration import Join, agglomerate, partition_so_far
from fairseq_gist.policies.dendrogram import merges
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["random_plan"]


def random_plan(
    languages: Sequence[str],
    unit_parameters: Mapping[str, int],
    shared_parameters: int,
    budget: str,
    seed: int,
    within: Optional[SharingPlan] = None,
) -> SharingPlan:
    """Return the plan that joins pairs of languages in a random order and fits the budget.

    Args:
        languages: of the model.
        unit_parameters: parameters of one copy of each unit to decide on.
        shared_parameters: parameters of the whole, fully shared model.
        budget: see :func:`fairseq_gist.sharing.budget.parse_budget`; parameters of the whole model.
        seed: of the order.
        within: a plan that the result must refine: languages it has separated stay so, and units
            that aren't decided on stay as they are in it.

    Raises:
        OptionError: when the budget is below the shared model, or below ``within``.
        PlanError: when ``within`` is for other languages, or splits a unit of unknown size that
            isn't decided on.
    """
    languages = sorted(languages)
    if within is not None and list(within.languages) != languages:
        raise PlanError(
            f"the model is for languages {', '.join(languages)}, the plan so far for "
            f"{', '.join(within.languages)}"
        )
    return agglomerate(
        languages,
        unit_parameters,
        shared_parameters,
        budget,
        _joins(languages, unit_parameters, seed, within),
        within,
        {"policy": "random", "seed": seed},
    )


def _joins(
    languages: Sequence[str], units: Mapping[str, int], seed: int, within: Optional[SharingPlan]
) -> List[Join]:
    """Return the pairs that would join two groups of a unit if there were no budget, in order.

    Of all pairs of a unit in the order drawn, those are its spanning tree: single linkage finds it.
    """
    found: List[Tuple[str, Join]] = []
    for unit in units:
        joins = [Join(unit, *pair) for pair in itertools.combinations(languages, 2)]
        drawn = [_drawn(seed, join) for join in joins]
        order = np.argsort(np.array(drawn))
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        groups = partition_so_far(unit, languages, within)
        for merge in merges(rank.tolist(), len(languages), groups, "single"):
            pair = int(order[int(merge.height)])
            found.append((drawn[pair], joins[pair]))
    return [join for _, join in sorted(found)]


def _drawn(seed: int, join: Join) -> str:
    return hashlib.sha256(json.dumps([seed, *join]).encode()).hexdigest()
