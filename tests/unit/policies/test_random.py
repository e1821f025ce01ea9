"""Random plans: the same everywhere, of the size asked for, and different with another seed."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import random_plan

LANGUAGES = ("de", "es", "fr", "it", "nl")
SIZES = {f"unit{index}": 100 for index in range(6)}
SHARED = 1_000

quick = settings(derandomize=True, max_examples=40, deadline=None)


def plan_for(seed, budget="2.0", languages=LANGUAGES, sizes=SIZES, within=None):
    return random_plan(languages, sizes, SHARED, budget, seed, within)


def test_a_seed_is_the_same_plan_on_every_machine():
    assert plan_for(1).signature == "7f758e14611dae3b"
    assert plan_for(2).signature == "2b7f604dabb041ae"


@quick
@given(st.integers(0, 10**6), st.integers(0, 24))
def test_pairs_join_in_the_order_of_their_hashes(seed, copies):
    pairs = itertools.product(SIZES, itertools.combinations(LANGUAGES, 2))
    words = [json.dumps([seed, unit, *pair]) for unit, pair in pairs]
    groups = {unit: [{language} for language in LANGUAGES] for unit in SIZES}
    left = 24
    for word in sorted(words, key=lambda word: hashlib.sha256(word.encode()).hexdigest()):
        _, unit, one, other = json.loads(word)
        joined = [group for group in groups[unit] if one in group or other in group]
        if left > copies and len(joined) == 2:
            groups[unit] = [g for g in groups[unit] if g not in joined] + [joined[0] | joined[1]]
            left -= 1
    assert plan_for(seed, str(SHARED + 100 * copies)) == SharingPlan(LANGUAGES, groups)


@quick
@given(st.integers(-5, 10**9), st.permutations(LANGUAGES), st.permutations(sorted(SIZES)))
def test_the_order_of_languages_and_units_does_not_matter(seed, languages, units):
    shuffled = plan_for(seed, languages=languages, sizes=dict.fromkeys(units, 100))
    assert shuffled == plan_for(seed)
    assert dict(shuffled.provenance) == dict(plan_for(seed).provenance)


@quick
@given(st.integers(0, 10**6))
def test_a_larger_budget_only_splits_further(seed):
    plans = [plan_for(seed, str(SHARED + more)) for more in range(0, 2500, 100)]
    assert plans[0].is_shared
    assert plans[-1] == SharingPlan.language_specific(LANGUAGES, SIZES)
    assert all(larger.refines(smaller) for smaller, larger in zip(plans, plans[1:]))
    sizes = [plan.size(SHARED, SIZES) for plan in plans]
    assert sizes == [plan.parameters for plan in plans]
    assert sizes == list(range(1000, 3500, 100))


def test_a_unit_is_not_drawn_more_often_than_another():
    """Each pair is as likely as any other, so with two languages each unit is."""
    split = Counter(
        unit
        for seed in range(600)
        for unit, groups in plan_for(seed, "1.3", ["de", "es"]).units.items()
        if len(groups) == 2
    )
    # 3 of the 6 units are split each time: 300 times each, with a standard deviation of 12
    assert sum(split.values()) == 600 * 3
    assert all(abs(times - 300) < 4 * 12.3 for times in split.values()), split


def test_provenance_says_how_it_was_drawn():
    plan = plan_for(7, "1.5")
    assert dict(plan.provenance) == {
        "policy": "random",
        "size_budget": "1.5",
        "plan_seed": 7,
        "copies": "full",
        "splits_all": False,
    }
    assert (plan.parameters, plan.shared_parameters, dict(plan.sizes)) == (1500, SHARED, SIZES)


@quick
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_later_plan_refines_the_one_before(seed, before):
    within = plan_for(before, "1.5")
    plan = plan_for(seed, "2.5", within=within)
    assert plan.refines(within)
    assert plan.parameters == 2500


def test_units_that_are_not_decided_on_stay_and_count():
    within = SharingPlan(
        LANGUAGES, {"embed": [["de"], ["es", "fr", "it", "nl"]]}, sizes={"embed": 30}
    )
    plan = plan_for(1, "1.5", within=within)
    assert plan.units["embed"] == within.units["embed"]
    assert plan.parameters == 1430
    assert plan.size(SHARED, plan.sizes) == 1430


def test_what_cannot_be_is_refused():
    embed = {"embed": [["de"], ["es", "fr", "it", "nl"]]}
    with pytest.raises(
        PlanError, match="splits 'embed', which isn't decided on, so its size isn't"
    ):
        plan_for(1, within=SharingPlan(LANGUAGES, embed))
    with pytest.raises(PlanError, match="the model is for languages de, .*plan so far for de, xx"):
        plan_for(1, within=SharingPlan(["de", "xx"], {}))
    with pytest.raises(OptionError, match="0.9 is less than the fully shared model"):
        plan_for(1, "0.9")
    within = SharingPlan.language_specific(LANGUAGES, SIZES)
    with pytest.raises(OptionError, match="1.5 is 1,500 parameters, but the .* already has 3,400"):
        plan_for(1, "1.5", within=within)
