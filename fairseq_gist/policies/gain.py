"""Sharing where a split would gain least, to first order.

A step along the mean gradient of a group lowers the loss of its languages, to first order, by the
square of that gradient. So of a partition of a unit into groups of W languages the gain over
sharing it is the sum over the groups of W |mean gradient|^2, less that of all languages together,
and joining two groups costs

    W_a W_b / (W_a + W_b) |mean_a - mean_b|^2

which is Ward's criterion ("Hierarchical Grouping to Optimize an Objective Function", 1963) on
gradients that are not normalised: a unit whose gradients are next to nothing gains nothing by a
split, whatever their angles. Joins are made over all units, the one that costs least for each
parameter that it saves first, until the model fits the budget.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import ClassVar, Iterator, List, NamedTuple, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.agglomeration import (
    FillsBudget,
    Join,
    agglomerate,
    indices_so_far,
    room_for_all,
)
from fairseq_gist.policies.base import SizeBudget
from fairseq_gist.policies.copies import CopyKind, KindOfCopies, kind_of_copies
from fairseq_gist.policies.similarity import is_debiased, trusted_products
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["AntiGain", "Gain", "gain_of"]

Floats = NDArray[np.float64]


class _Merge(NamedTuple):
    """Two groups of languages that become one, by an index of each."""

    cost: float
    one: int
    other: int


class Gain(FillsBudget):
    """Share where a split gains least for its parameters.

    Inner products are debiased where every language has two chunks or more; a distance that is then
    below zero, by noise, is no distance.

    Attributes:
        sign: 1; -1 where what gains most is joined first.
    """

    name = "gain"
    summary = "share where a split gains least to first order, for its parameters"
    needs_statistics = True
    goes_on = True
    sign: ClassVar[int] = 1

    @dataclass(frozen=True)
    class Options(KindOfCopies, SizeBudget):
        """How large the model may become, and of what copies."""

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan that keeps most of the gain within the budget.

        Raises:
            OptionError: when the budget is below the shared model, or below the plan so far.
            StatisticsError: when the statistics are for other units, or lack one that the plan so
                far splits and whose size it doesn't say.
        """
        statistics, budget = situation.recorded(), self.options.size_budget
        copies = kind_of_copies(situation, self.options)
        chosen = copies.splittable(statistics.units)
        if len(chosen) < len(statistics.units):
            statistics = statistics.select(chosen)
        products = trusted_products(statistics)
        joins = self._joins(statistics, products, situation, copies)
        groups = agglomerate(situation, chosen, joins, budget, copies)
        kept = sum(gain_of(own, _positions(situation, groups[unit]))
                   for unit, own in zip(statistics.units, products))  # fmt: skip
        whole = sum(gain_of(own, [[i] for i in range(len(own))]) for own in products)
        facts = {
            "debiased": is_debiased(statistics),
            "splits_all": room_for_all(situation, chosen, budget, copies),
            "gain_kept": round(kept / whole, 4) if whole > 0 else None,
        }
        units, low_rank = copies.parts(groups)
        return self.plan(situation, units, facts, low_rank=low_rank)

    def _joins(
        self,
        statistics: GradientStatistics,
        products: Floats,
        situation: Situation,
        copies: CopyKind,
    ) -> Iterator[Join]:
        """Yield all joins there could be, in their order; equal ones by the names of units."""
        languages = statistics.languages
        merges = {
            unit: _merges(own, indices_so_far(situation, unit), self.sign)
            for unit, own in zip(statistics.units, products)
        }
        left = {unit: len(languages) for unit in statistics.units}
        waiting: List[Tuple[float, str, _Merge]] = []

        def push(unit: str) -> None:
            merge = next(merges[unit], None)
            if merge is not None:
                saved = copies.cost(unit, left[unit]) - copies.cost(unit, left[unit] - 1)
                heapq.heappush(waiting, (self.sign * merge.cost / max(saved, 1), unit, merge))

        for unit in statistics.units:
            push(unit)
        while waiting:
            _, unit, merge = heapq.heappop(waiting)
            yield Join(unit, languages[merge.one], languages[merge.other])
            left[unit] -= 1
            push(unit)


class AntiGain(Gain):
    """Share where a split gains most: the control that should be worst if gain counts."""

    name = "anti-gain"
    summary = "share where a split gains most: the control of gain"
    sign = -1


def gain_of(products: Floats, groups: List[List[int]]) -> float:
    """Return the first-order gain of a partition of one unit over sharing it.

    Args:
        products: mean inner products of the languages' gradients, `[languages, languages]`.
        groups: positions of the languages of each.
    """
    every = sum(len(group) * float(products[np.ix_(group, group)].mean()) for group in groups)
    return every - len(products) * float(products.mean())


def _positions(situation: Situation, groups: List[List[str]]) -> List[List[int]]:
    place = {language: index for index, language in enumerate(situation.languages)}
    return [[place[language] for language in group] for group in groups]


def _merges(products: Floats, groups: Tuple[List[int], ...], sign: int) -> Iterator[_Merge]:
    """Yield the merges inside each of ``groups``, the cheapest first, until each is one.

    Args:
        products: see :func:`gain_of`.
        groups: beyond which nothing is joined.
        sign: -1 for the dearest first.
    """
    count = len(products)
    home = np.empty(count, dtype=int)
    for index, group in enumerate(groups):
        home[group] = index
    members = np.ones(count)  # of the group that each position stands for; 0 once it is joined
    means = products.astype(np.float64).copy()
    while True:
        costs = _costs(means, members)
        alone = (home[:, None] != home[None, :]) | (members[:, None] * members[None, :] == 0)
        alone |= ~np.triu(np.ones_like(alone), k=1)
        ranked = np.where(alone, np.inf, sign * costs)
        one, other = divmod(int(ranked.argmin()), count)
        if not np.isfinite(ranked[one, other]):
            return
        yield _Merge(float(costs[one, other]), one, other)
        weights = members[one], members[other]
        joined = (weights[0] * means[one] + weights[1] * means[other]) / sum(weights)
        means[one] = joined
        means[:, one] = (weights[0] * means[:, one] + weights[1] * means[:, other]) / sum(weights)
        members[one], members[other] = sum(weights), 0


def _costs(means: Floats, members: Floats) -> Floats:
    """Return what joining each pair of groups costs, `[groups, groups]`."""
    squares = np.diagonal(means)
    apart = np.maximum(squares[:, None] + squares[None, :] - 2 * means, 0.0)
    total = members[:, None] + members[None, :]
    both = members[:, None] * members[None, :]
    costs: Floats = np.divide(both, total, out=np.zeros_like(total), where=total > 0) * apart
    return costs
