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

from typing import List, Optional, Tuple

import numpy as np

from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import Join, agglomerate, partition_so_far
from fairseq_gist.policies.dendrogram import LINKAGES, merges
from fairseq_gist.policies.similarity import check_within, is_debiased, trusted_cosines
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["gradient_plan"]


def gradient_plan(
    statistics: GradientStatistics,
    budget: str,
    within: Optional[SharingPlan] = None,
    linkage: str = "single",
) -> SharingPlan:
    """Return the plan that shares where gradients agree most and fits the budget.

    Cosines are debiased where every language has two chunks or more. A pair whose cosine is not
    defined, or of whose gradients one can't be told from noise, counts as 0: no reason to share,
    none to split.

    Args:
        statistics: of the units to decide on.
        budget: see :func:`fairseq_gist.sharing.budget.parse_budget`; parameters of the whole model.
        within: a plan that the result must refine: languages it has separated stay so, and units
            that the statistics lack stay as they are in it.
        linkage: by which of the similarities between their languages two groups are joined: the
            highest (``single``), the mean (``average``) or the lowest (``complete``).

    Raises:
        OptionError: when the budget is below the shared model, or below ``within``, or for an
            unknown linkage.
        StatisticsError: when the statistics are for other languages than ``within``, or lack a
            unit that it splits and whose size it doesn't say.
    """
    if linkage not in LINKAGES:
        raise OptionError(f"--linkage: expected one of {', '.join(LINKAGES)}, found '{linkage}'")
    check_within(statistics, within)
    provenance = {
        "policy": "gradient",
        "linkage": linkage,
        "debiased": is_debiased(statistics),
        "statistics": dict(statistics.provenance),
    }
    return agglomerate(
        statistics.languages,
        dict(zip(statistics.units, statistics.unit_parameters.tolist())),
        statistics.shared_parameters,
        budget,
        _joins(statistics, within, linkage),
        within,
        provenance,
    )


def _joins(
    statistics: GradientStatistics, within: Optional[SharingPlan], linkage: str
) -> List[Join]:
    """Return all that would be joined if there were no budget, the most similar first.

    Equal similarities are ordered by the names of unit and languages.
    """
    languages = statistics.languages
    pairs = np.triu_indices(len(languages), k=1)
    found: List[Tuple[float, str, int, Join]] = []
    for unit, cosines in zip(statistics.units, trusted_cosines(statistics)):
        groups = partition_so_far(unit, languages, within)
        own = merges((-cosines[pairs]).tolist(), len(languages), groups, linkage)
        found.extend(
            (merge.height, unit, step, Join(unit, languages[merge.one], languages[merge.other]))
            for step, merge in enumerate(own)
        )
    return [join for *_, join in sorted(found)]
