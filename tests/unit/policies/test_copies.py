"""Low-rank differences in the place of copies: what they cost, and who shares one."""

from dataclasses import replace

import numpy as np
import pytest

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies import decide, policy_named
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import (
    LANGUAGES,
    MEDIUM_SHARED,
    medium_projections,
    medium_units,
    shape_of_sizes,
    statistics_of,
)

SIZES, PROJECTIONS = medium_units(), medium_projections()
SHAPE = shape_of_sizes(LANGUAGES, SIZES, MEDIUM_SHARED, projections=PROJECTIONS)
FIRST = "decoder.layers.0.fc1"
RANK = 8


@pytest.fixture(scope="module")
def statistics():
    generator = np.random.default_rng(7)
    vectors = {unit: {one: generator.normal(size=5) for one in LANGUAGES} for unit in SIZES}
    found = statistics_of(vectors, SIZES, noise=0.1, shared=MEDIUM_SHARED)
    widths = [PROJECTIONS.get(unit, (0, 0)) for unit in found.units]
    return replace(found, unit_widths=np.array(widths, dtype=np.int64))


def counted(plan, rank=RANK):
    """Count the parameters of a plan of low-rank differences, one difference after the other."""
    return MEDIUM_SHARED + sum(
        len(plan.units[f"{unit}.difference"]) * rank * (PROJECTIONS[unit][0] + PROJECTIONS[unit][1])
        for unit in plan.low_rank
    )


@pytest.mark.parametrize("name", ["gradient", "random"])
@pytest.mark.parametrize("budget", ["1.01", "1.02", "1.025", "77M"])
def test_a_budget_is_filled_exactly_as_far_as_it_goes(name, budget, statistics):
    situation = Situation(SHAPE, statistics)
    plan = decide(name, situation, size_budget=budget, copies="low-rank", rank=RANK)
    limit = 77_000_000 if budget == "77M" else int(float(budget) * MEDIUM_SHARED)
    assert plan.parameters == counted(plan) <= limit
    one_more = 2 * RANK * (512 + 2048)  # the largest thing that a split can cost
    assert limit - counted(plan) < one_more
    assert set(plan.low_rank.values()) == {RANK}
    assert not any(len(plan.units[f"{unit}.base"]) > 1 for unit in plan.low_rank)
    assert all(len(plan.units[f"{unit}.difference"]) > 1 for unit in plan.low_rank)
    others = set(plan.units) - {f"{u}.{part}" for u in plan.low_rank for part in PARTS}
    assert all(len(plan.units[unit]) == 1 for unit in others)
    assert others | set(plan.low_rank) == set(SIZES)
    assert plan.provenance["copies"] == "low-rank"
    assert plan.provenance["rank"] == RANK


PARTS = ("base", "difference")


def test_who_shares_one_is_what_gradients_say(statistics):
    """The groups of a unit are those that copies would have: the order of joins is the same."""
    low = decide("gradient", Situation(SHAPE, statistics), size_budget="1.05", copies="low-rank")
    full = decide("gradient", Situation(SHAPE, statistics), size_budget="2.0")
    for unit in low.low_rank:
        groups, others = low.units[f"{unit}.difference"], full.units[unit]
        nested = [all(any(set(a) <= set(b) for b in two) for a in one)
                  for one, two in ((groups, others), (others, groups))]  # fmt: skip
        assert any(nested), f"{unit}: {groups} against {others}"


def test_statistics_alone_are_enough(statistics, tmp_path):
    statistics.save(tmp_path / "s.npz")
    again = GradientStatistics.load(tmp_path / "s.npz")
    assert again.projections == PROJECTIONS
    situation = Situation(shape_of_statistics(again, PLAIN), again)
    options = {"size_budget": "1.05", "copies": "low-rank"}
    plan = decide("gradient", Situation(SHAPE, statistics), **options)
    assert decide("gradient", situation, **options) == plan
    early = replace(again, unit_widths=None)
    situation = Situation(shape_of_statistics(early, PLAIN), early)
    with pytest.raises(OptionError, match="--copies: low-rank: none of the .* record these anew"):
        decide("gradient", situation, **options)


@pytest.mark.parametrize(("name", "groups"), [("lora", 1), ("lora-per-language", len(LANGUAGES))])
def test_lora_is_on_every_projection(name, groups):
    plan = decide(name, Situation(SHAPE), rank=4)
    assert dict(plan.low_rank) == dict.fromkeys(PROJECTIONS, 4)
    assert {len(plan.units[f"{unit}.difference"]) for unit in PROJECTIONS} == {groups}
    each = sum(4 * (own.inputs + own.outputs) for own in PROJECTIONS.values())
    assert plan.parameters == MEDIUM_SHARED + groups * each


def test_a_later_plan_gives_existing_differences_to_fewer(statistics):
    """Then a difference is copied, and its parameters are all that is added."""
    before = decide("random", Situation(SHAPE), size_budget="1.01", copies="low-rank", rank=RANK)
    shape = SHAPE.after(before)
    after = decide(
        "random", Situation(shape, within=before), size_budget="1.02", copies="low-rank", rank=RANK
    )
    after.check_refines(before)
    assert not before.refines(after)
    assert counted(before) < after.parameters == counted(after) <= 1.02 * MEDIUM_SHARED
    assert set(before.low_rank) <= set(after.low_rank)


def test_a_later_plan_of_another_rank_keeps_the_old_one():
    before = decide("lora", Situation(SHAPE, pattern=r".*\.fc1"), rank=2)
    after = decide("lora-per-language", Situation(SHAPE.after(before), within=before), rank=4)
    assert {after.low_rank[unit] for unit in before.low_rank} == {2}
    assert set(after.low_rank.values()) == {2, 4}


def test_ranks_that_cannot_be(statistics):
    with pytest.raises(OptionError, match="--rank: expected 1 or more, found 0"):
        policy_named("lora").with_options(rank=0)
    with pytest.raises(OptionError, match="--rank: 600 is more than the 512 features of 'decoder"):
        decide("lora", Situation(SHAPE), rank=600)
    with pytest.raises(OptionError, match="--rank: is for --copies low-rank"):
        decide("random", Situation(SHAPE), rank=4)
    with pytest.raises(OptionError, match="--copies: expected one of full, low-rank, found 'thin'"):
        decide("random", Situation(SHAPE), copies="thin")
    with pytest.raises(OptionError, match="low-rank: none of the 19 units"):
        decide("lora", Situation(SHAPE, pattern=r".*norm"))


PLAN = decide("lora-per-language", Situation(SHAPE, pattern=FIRST), rank=4)


def test_a_plan_of_differences_is_written_and_read():
    again = SharingPlan.from_json(PLAN.to_json())
    assert again == PLAN
    assert again.signature == PLAN.signature
    assert again.parameters == PLAN.parameters == MEDIUM_SHARED + len(LANGUAGES) * 4 * 2560
    assert again != PLAN.replaced(low_rank={FIRST: 5})
    assert again.replaced(update=3).steps[-1].plan == PLAN
    later = again.replaced(update=7, history=again.replaced(update=3).steps)
    assert SharingPlan.from_json(later.to_json()).history == later.history


@pytest.mark.parametrize(("low_rank", "message"), [
    ({FIRST: 0}, "rank of 'decoder.layers.0.fc1': expected a number from 1 on, found 0"),
    ({FIRST: True}, "expected a number from 1 on, found True"),
    ({FIRST: "4"}, "expected a number from 1 on, found '4'"),
    ({"decoder.layer_norm": 4}, "unit 'decoder.layer_norm' has low-rank differences: the plan"),
    ({"decoder.layers.9.fc1": 4}, "'decoder.layers.9.fc1' has rank 4, and the plan lacks its"),
    ({f"{FIRST}.base": 4}, "is a part of a projection that has differences already"),
])  # fmt: skip
def test_ranks_in_a_plan_that_make_no_sense(low_rank, message):
    with pytest.raises(PlanError, match=message):
        PLAN.replaced(low_rank=low_rank)
