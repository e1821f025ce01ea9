"""The gradient-guided policy of Wang et al. (Interspeech 2022), section 3.

Every unit starts fully language-specific. All pairs of languages on all units are taken in the
order of their gradients' cosine similarity, the most similar first; a pair joins the groups its
two languages are in, until the model is no larger than the budget. That is single-linkage
agglomeration with one order over all the units. The paper leaves the stopping rule and the way
pairs become groups open; this is our reading. With average or complete linkage, which are not the
paper's, groups join in the order of the mean or the least similarity between their languages.

What merges on one unit doesn't depend on the other units. So each unit's dendrogram is found alone,
and only its merges, fewer than units times languages, are put into one order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import (
    FillsBudget,
    Join,
    agglomerate,
    indices_so_far,
    room_for_all,
)
from fairseq_gist.policies.base import SizeBudget, option
from fairseq_gist.policies.copies import KindOfCopies, kind_of_copies
from fairseq_gist.policies.dendrogram import LINKAGES, merges
from fairseq_gist.policies.similarity import is_debiased, trusted_cosines
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Gradient"]


class Gradient(FillsBudget):
    """Share where gradients agree most, within the budget.

    Cosines are debiased where every language has two chunks or more. A pair whose cosine is not
    defined, or of whose gradients one can't be told from noise, counts as 0: no reason to share,
    none to split.
    """

    name = "gradient"
    summary = "share where gradients agree most, within the budget"
    needs_statistics = True
    goes_on = True

    @dataclass(frozen=True)
    class Options(KindOfCopies, SizeBudget):
        """How large the model may become, of what copies, and what similar groups are."""

        linkage: str = option(
            "single",
            "how similar two groups of languages are: as their most similar pair ('single'), their "
            "least similar ('complete') or all pairs on average ('average')",
            choices=LINKAGES,
        )

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan that shares where gradients agree most and fits the budget.

        Raises:
            OptionError: when the budget is below the shared model, or below the plan so far.
            StatisticsError: when the statistics are for other units, or lack one that the plan so
                far splits and whose size it doesn't say.
        """
        statistics, budget = situation.recorded(), self.options.size_budget
        copies = kind_of_copies(situation, self.options)
        chosen = copies.splittable(statistics.units)
        statistics = (
            statistics if len(chosen) == len(statistics.units) else statistics.select(chosen)
        )
        joins = _joins(statistics, situation, self.options.linkage)
        groups = agglomerate(situation, chosen, joins, budget, copies)
        facts = {
            "debiased": is_debiased(statistics),
            "splits_all": room_for_all(situation, chosen, budget, copies),
        }
        units, low_rank = copies.parts(groups)
        return self.plan(situation, units, facts, low_rank=low_rank)


def _joins(statistics: GradientStatistics, situation: Situation, linkage: str) -> List[Join]:
    """Return all that would be joined if there were no budget, the most similar first.

    Equal similarities are ordered by the names of unit and languages.
    """
    languages = statistics.languages
    pairs = np.triu_indices(len(languages), k=1)
    found: List[Tuple[float, str, int, Join]] = []
    for unit, cosines in zip(statistics.units, trusted_cosines(statistics)):
        groups = indices_so_far(situation, unit)
        own = merges((-cosines[pairs]).tolist(), len(languages), groups, linkage)
        found.extend(
            (merge.height, unit, step, Join(unit, languages[merge.one], languages[merge.other]))
            for step, merge in enumerate(own)
        )
    return [join for *_, join in sorted(found)]
