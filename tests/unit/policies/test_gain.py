"""The policy that keeps the first-order gain, against what gain is defined to be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.errors import StatisticsError
from fairseq_gist.policies.gain import _merges, gain_of
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import (
    LANGUAGES,
    PLANTED,
    SHARED,
    grouped,
    plan_by,
    random_vectors,
    statistics_of,
)
from tests.unit.policies.test_gradient import budget_for

quick = settings(derandomize=True, max_examples=40, deadline=None)


def direct_gain(vectors, groups):
    """Sum of W |mean|^2 over the groups, less that of all, on the vectors themselves."""

    def of(languages):
        mean = np.mean([vectors[one] for one in languages], axis=0)
        return len(languages) * (mean @ mean)

    return sum(map(of, groups)) - of(list(vectors))


def split_of(plan):
    return {unit for unit, groups in plan.units.items() if len(groups) > 1}


@quick
@given(st.integers(0, 10**6))
def test_gain_is_what_it_is_defined_to_be_and_joins_cost_what_they_take(seed):
    (vectors,) = random_vectors(seed, units=1).values()
    order = list(vectors)
    products = np.array([[vectors[a] @ vectors[b] for b in order] for a in order])
    groups = [[i] for i in range(len(order))]
    gain = gain_of(products, groups)
    assert gain == pytest.approx(direct_gain(vectors, [[one] for one in order]))
    for merge in _merges(products, (list(range(len(order))),), 1):
        joined = [g for g in groups if merge.one in g or merge.other in g]
        groups = [g for g in groups if g not in joined] + [[*joined[0], *joined[1]]]
        after = gain_of(products, groups)
        assert after == pytest.approx(
            direct_gain(vectors, [[order[i] for i in group] for group in groups]), abs=1e-9
        )
        assert gain - after == pytest.approx(merge.cost, abs=1e-9)
        gain = after
    assert len(groups) == 1


@quick
@given(st.integers(0, 10**6))
def test_each_merge_is_the_cheapest_there_is(seed):
    (vectors,) = random_vectors(seed, units=1).values()
    order = list(vectors)
    products = np.array([[vectors[a] @ vectors[b] for b in order] for a in order])
    groups = [[i] for i in range(len(order))]
    for merge in _merges(products, (list(range(len(order))),), 1):
        least = min(
            gain_of(products, groups)
            - gain_of(products, [g for g in groups if g not in (a, b)] + [a + b])
            for a, b in itertools.combinations(groups, 2)
        )
        assert merge.cost == pytest.approx(least, abs=1e-9)
        joined = [g for g in groups if merge.one in g or merge.other in g]
        groups = [g for g in groups if g not in joined] + [[*joined[0], *joined[1]]]


@pytest.mark.parametrize(("chunks", "noise"), [(1, 0.0), (2, 0.0), (8, 0.03)])
def test_planted_groups_are_found(chunks, noise):
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    statistics = statistics_of(vectors, chunks=chunks, noise=noise)
    plan = plan_by("gain", statistics, size_budget=budget_for(PLANTED))
    assert plan == SharingPlan(LANGUAGES, PLANTED), plan.to_json()
    assert plan.provenance["gain_kept"] == pytest.approx(1.0, abs=0.02)


def test_a_unit_with_next_to_no_gradient_is_not_split():
    """Its gradients are at right angles, those of the other unit less than half as far apart."""
    near = {one: np.eye(20)[0] + 0.5 * axis for one, axis in zip(LANGUAGES, np.eye(20)[1:])}
    far = {one: 1e-3 * axis for one, axis in zip(LANGUAGES, np.eye(20))}
    statistics = statistics_of({"large": near, "small": far})
    budget = str(SHARED + 100 * (len(LANGUAGES) - 1))
    assert split_of(plan_by("gain", statistics, size_budget=budget)) == {"large"}
    assert split_of(plan_by("gradient", statistics, size_budget=budget)) == {"small"}
    assert split_of(plan_by("anti-gain", statistics, size_budget=budget)) == {"small"}


@pytest.mark.parametrize(("factor", "split"), [(1.0, "cheap"), (1.3, "cheap"), (1.5, "dear")])
def test_what_costs_twice_the_parameters_has_to_gain_twice_as_much(factor, split):
    """Gains go by squares: 1.3 times the gradient is 1.7 times the gain, 1.5 times is 2.25.

    Of gradients at right angles every join costs the same.
    """
    own = grouped([[language] for language in LANGUAGES])
    vectors = {"cheap": own, "dear": {language: factor * v for language, v in own.items()}}
    statistics = statistics_of(vectors, {"cheap": 100, "dear": 200})
    budget = str(SHARED + 100 * (len(LANGUAGES) - 1) * (1 + (split == "dear")))
    plan = plan_by("gain", statistics, size_budget=budget)
    assert split_of(plan) == {split}, plan.to_json()


@quick
@given(st.integers(0, 10**6), st.floats(0.01, 100), st.randoms(use_true_random=False))
def test_scale_and_order_change_nothing(seed, factor, random):
    vectors = random_vectors(seed)
    plan = plan_by("gain", statistics_of(vectors), size_budget=str(SHARED + 700))
    scaled = {
        unit: {language: factor * vector for language, vector in own.items()}
        for unit, own in vectors.items()
    }
    assert plan_by("gain", statistics_of(scaled), size_budget=str(SHARED + 700)) == plan
    names = list(vectors)
    random.shuffle(names)
    shuffled = {name: vectors[name] for name in names}
    assert plan_by("gain", statistics_of(shuffled), size_budget=str(SHARED + 700)) == plan


@quick
@given(st.integers(0, 10**6), st.integers(0, 1600))
def test_the_budget_holds_and_no_join_more_was_made_than_it_asked_for(seed, budget):
    statistics = statistics_of(random_vectors(seed))
    limit = SHARED + budget
    plan = plan_by("gain", statistics, size_budget=str(limit))
    assert plan.parameters <= limit < plan.parameters + 100
    assert plan.provenance["splits_all"] == (budget == 1600)


def test_noise_is_no_gain():
    """Languages agree on one unit, each chunk of which is far off; on the other they differ."""
    same = {language: np.eye(20)[0] for language in LANGUAGES}
    apart = {one: 0.3 * axis for one, axis in zip(LANGUAGES, np.eye(20))}
    vectors = {"noisy": same, "apart": apart}
    statistics = statistics_of(vectors, chunks=64, noise=0.15)
    budget = str(SHARED + 100 * (len(LANGUAGES) - 1))
    plan = plan_by("gain", statistics, size_budget=budget)
    assert len(plan.units["apart"]) > len(plan.units["noisy"])


def test_a_later_plan_only_splits_further():
    statistics = statistics_of(random_vectors(11))
    first = plan_by("gain", statistics, size_budget=str(SHARED + 300))
    second = plan_by("gain", statistics, within=first, size_budget=str(SHARED + 800))
    assert second.refines(first)
    assert second != first


def test_a_unit_without_gradients_is_told():
    vectors = random_vectors(1)
    vectors["unit2"] = {language: np.zeros(6) for language in LANGUAGES}
    with pytest.raises(StatisticsError, match="gradients of 'unit2' are zero for every language"):
        plan_by("gain", statistics_of(vectors), size_budget=str(SHARED + 700))
