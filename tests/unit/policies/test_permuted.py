"""The control that keeps a plan's units and sizes, and exchanges its languages."""

import pytest

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.policies import decide
from fairseq_gist.policies.permuted import permutation
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.division import Division
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import BlockShape, Projection
from tests.unit.made_up import LANGUAGES, SHARED, shape_of_sizes

FC1, FC2, QUERY = (f"decoder.layers.0.{name}" for name in ("fc1", "fc2", "self_attn.q_proj"))
SIZES = {FC1: 100, FC2: 200, QUERY: 50}
FIRST, *OTHERS = LANGUAGES
PLAN = SharingPlan(
    LANGUAGES,
    {FC1: [[FIRST], OTHERS], FC2: [[name] for name in LANGUAGES], QUERY: [LANGUAGES]},
)


@pytest.fixture
def situation():
    widths = {FC1: Projection(4, 20), FC2: Projection(20, 4)}
    blocks = {FC1: BlockShape(FC2, 20, 5, 4)}
    return Situation(shape_of_sizes(list(LANGUAGES), SIZES, SHARED, blocks, widths))


@pytest.fixture
def permuted(situation, tmp_path):
    """Return what becomes of a plan, with a seed."""

    def permuted(plan, seed=1):
        plan.save(tmp_path / "plan.json")
        return decide(
            "permuted", situation, permuted_plan=str(tmp_path / "plan.json"), plan_seed=seed
        )

    return permuted


def test_sizes_stay_and_languages_change(permuted):
    draws = [permuted(PLAN, seed) for seed in range(20)]
    for plan in draws:
        assert plan.parameters == SHARED + 100 + 4 * 200
        assert {unit: sorted(map(len, groups)) for unit, groups in plan.units.items()} == {
            unit: sorted(map(len, groups)) for unit, groups in PLAN.units.items()
        }
        assert plan.units[FC2] == PLAN.units[FC2]
        is_same = plan.units[FC1] == PLAN.units[FC1]
        assert plan.provenance["units_changed"] == (0.0 if is_same else 0.5)
    alone = {min(plan.units[FC1], key=len)[0] for plan in draws}
    assert len(alone) > 2


def test_all_units_change_the_same_way(permuted):
    plan = SharingPlan(LANGUAGES, {unit: [LANGUAGES[:2], LANGUAGES[2:]] for unit in SIZES})
    for seed in range(5):
        assert len(set(permuted(plan, seed).units.values())) == 1


def test_a_seed_is_one_permutation_and_never_that_of_nothing():
    assert permutation("abcde", 3) == permutation("edcba", 3)
    assert len({tuple(permutation("abcde", seed).values()) for seed in range(20)}) > 15
    for seed in range(20):
        drawn = permutation("ab", seed)
        assert sorted(drawn) == sorted(drawn.values())
        assert drawn == {"a": "b", "b": "a"}


def test_differences_keep_their_rank(permuted):
    parts = {f"{FC1}.base": [LANGUAGES], f"{FC1}.difference": [[FIRST], OTHERS]}
    plan = permuted(SharingPlan(LANGUAGES, parts, low_rank={FC1: 2}), 2)
    assert dict(plan.low_rank) == {FC1: 2}
    assert sorted(map(len, plan.units[f"{FC1}.difference"])) == [1, len(OTHERS)]


def test_neurons_stay_and_their_owners_change(permuted):
    parts = {f"{path}.own": [[FIRST], OTHERS] for path in (FC1, FC2)}
    parts.update({f"{path}.shared": [LANGUAGES] for path in (FC1, FC2)})
    divided = SharingPlan(LANGUAGES, parts, divisions={FC1: Division(FC2, 20, (1, 5))})
    plan = next(
        plan
        for plan in (permuted(divided, seed) for seed in range(20))
        if plan.units[f"{FC1}.own"] != divided.units[f"{FC1}.own"]
    )
    assert plan.divisions == divided.divisions
    assert plan.provenance["units_changed"] == 1.0


def test_what_was_split_before_is_not_counted_as_changed(situation, tmp_path):
    plan = SharingPlan(LANGUAGES, {FC1: [[name] for name in LANGUAGES], QUERY: [LANGUAGES]})
    plan.save(tmp_path / "plan.json")
    before = SharingPlan(LANGUAGES, {FC2: [[FIRST], OTHERS]}, sizes={FC2: 200})
    further = decide(
        "permuted",
        Situation(situation.shape, within=before),
        permuted_plan=str(tmp_path / "plan.json"),
    )
    assert len(further.units[FC2]) == 2
    assert further.provenance["units_changed"] == 0.0


def test_plans_that_do_not_fit(permuted, situation, tmp_path):
    with pytest.raises(
        OptionError, match="--permuted-plan: policy 'permuted' goes by another plan"
    ):
        decide("permuted", situation)
    with pytest.raises(PlanError, match="the model is for languages .*, the plan for xx, yy"):
        permuted(SharingPlan(["xx", "yy"], {FC1: [["xx"], ["yy"]]}))
    with pytest.raises(PlanError, match="'encoder.fc1' is none of the 3 units of the model"):
        permuted(SharingPlan(LANGUAGES, {"encoder.fc1": [[FIRST], OTHERS]}))
