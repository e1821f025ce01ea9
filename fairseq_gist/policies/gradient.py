"""The gradient-guided policy of Wang et al. (Interspeech 2022), section 3.

Every unit starts fully language-specific. All pairs of languages on all units are taken in the
order of their gradients' cosine similarity, the most similar first; a pair joins the groups its
two languages are in, until the model is no larger than the budget. That is single-linkage
agglomeration with one order over all the units. The paper leaves the stopping rule and the way
pairs become groups open; this is our reading.

Single linkage on one unit only ever joins along the edges of its minimum spanning tree, whatever
the other units do. So each unit's tree is found alone, and only the trees' edges, fewer than units
times languages, are put into one order.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage

from fairseq_gist.budget import parse_budget
from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.plan import Partition, SharingPlan
from fairseq_gist.statistics import GradientStatistics

__all__ = ["gradient_plan"]

Join = Tuple[float, str, str, str]
"""Negated cosine, unit, and the two languages: sorts most similar first, ties by name."""


def gradient_plan(
    statistics: GradientStatistics,
    budget: str,
    within: Optional[SharingPlan] = None,
) -> SharingPlan:
    """Return the plan that shares where gradients agree most and fits the budget.

    Cosines are debiased where every language has two chunks or more. A pair whose cosine is not
    defined, or of whose gradients one can't be told from noise, counts as 0: no reason to share,
    none to split.

    Args:
        statistics: of the units to decide on.
        budget: see :func:`fairseq_gist.budget.parse_budget`; parameters of the whole model.
        within: a plan that the result must refine: languages it has separated stay so, and units
            that the statistics lack stay as they are in it.

    Raises:
        OptionError: when the budget is below the shared model, or below ``within``.
        StatisticsError: when the statistics are for other languages than ``within``, or lack a
            unit that it splits and whose size it doesn't say.
    """
    limit = parse_budget(budget, statistics.shared_parameters)
    debiased = min(statistics.chunks_per_language.values()) > 1
    parameters = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    groups = _Groups(statistics.units, statistics.languages)
    _check_languages(statistics, within)
    kept, kept_parameters = _undecided(statistics, within)

    copies = len(statistics.languages) - 1
    size = statistics.shared_parameters + kept_parameters + sum(parameters.values()) * copies
    for _, unit, one, other in sorted(_joins(statistics, debiased, within)):
        if size <= limit:
            break
        groups.join(unit, one, other)
        size -= parameters[unit]
    if size > limit:
        raise OptionError(
            f"--size-budget: {budget} is {limit:,} parameters, but the plan so far already has "
            f"{size:,}; a later differentiation can only split further"
        )
    return SharingPlan(
        statistics.languages,
        {**kept, **{unit: groups.of(unit) for unit in statistics.units}},
        {
            "policy": "gradient",
            "size_budget": budget,
            "parameters": size,
            "shared_parameters": statistics.shared_parameters,
            "unit_parameters": parameters,
            "debiased": debiased,
            "statistics": dict(statistics.provenance),
        },
    )


def _trusted_cosines(statistics: GradientStatistics, debiased: bool) -> NDArray[np.float64]:
    """Return cosines, 0 where they would compare noise."""
    cosines = np.nan_to_num(statistics.cosines(debiased), copy=False, nan=0.0)
    if debiased:
        signal = statistics.is_signal()
        cosines[~(signal[:, :, None] & signal[:, None, :])] = 0.0
    return cosines


def _joins(
    statistics: GradientStatistics, debiased: bool, within: Optional[SharingPlan]
) -> Iterator[Join]:
    """Yield the pairs that would join two groups of a unit if there were no budget.

    Equal similarities are ordered by the names of unit and languages, and cosines are compared at
    twelve digits, so that the order is the same on every machine.
    """
    languages = statistics.languages
    one, other = np.triu_indices(len(languages), k=1)
    if len(one) == 0:
        return
    for unit, cosines in zip(statistics.units, _trusted_cosines(statistics, debiased)):
        # Python's round is correct to the last digit, numpy's isn't
        distances = np.array([-round(cosine, 12) for cosine in cosines[one, other].tolist()])
        if within is not None and unit in within.units:
            group = np.array(within.group_of(unit))
            distances[group[one] != group[other]] = np.inf  # after all others
        # ranks in place of distances have no ties; the pairs are listed in the order of their names
        order = np.argsort(distances, kind="stable")
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        for pair in order[linkage(rank, "single")[:, 2].astype(np.intp)]:
            if np.isfinite(distances[pair]):
                yield float(distances[pair]), unit, languages[one[pair]], languages[other[pair]]


def _check_languages(statistics: GradientStatistics, within: Optional[SharingPlan]) -> None:
    if within is not None and within.languages != statistics.languages:
        raise StatisticsError(
            f"the statistics are for languages {', '.join(statistics.languages)}, the plan so far "
            f"for {', '.join(within.languages)}"
        )


def _undecided(
    statistics: GradientStatistics, within: Optional[SharingPlan]
) -> Tuple[Dict[str, Partition], int]:
    """Return the units of ``within`` that the statistics lack, and what their copies add."""
    kept: Dict[str, Partition] = {}
    more = 0
    if within is None:
        return kept, more
    sizes: Mapping[str, int] = within.provenance.get("unit_parameters", {})
    decided = set(statistics.units)
    for unit, partition in within.units.items():
        if unit in decided:
            continue
        kept[unit] = partition
        if len(partition) == 1:
            continue
        if unit not in sizes:
            raise StatisticsError(
                f"the plan so far splits '{unit}', which the statistics lack, so its size isn't "
                "known; record gradients of that unit too, or write its number of parameters into "
                "the plan ('unit_parameters' in 'provenance')"
            )
        more += (len(partition) - 1) * sizes[unit]
    return kept, more


class _Groups:
    """A disjoint-set over the languages of every unit."""

    def __init__(self, units: Sequence[str], languages: Sequence[str]) -> None:
        self._group: Dict[str, Dict[str, List[str]]] = {
            unit: {language: [language] for language in languages} for unit in units
        }

    def join(self, unit: str, one: str, other: str) -> None:
        """Join the groups of two languages, which are not in one yet."""
        groups = self._group[unit]
        joined = groups[one] + groups[other]
        for language in joined:
            groups[language] = joined

    def of(self, unit: str) -> List[List[str]]:
        """Return the unit's groups."""
        unique = {id(group): group for group in self._group[unit].values()}
        return list(unique.values())
