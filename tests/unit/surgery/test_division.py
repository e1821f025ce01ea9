"""Dividing neurons: the plan's part, the model's, the optimizer's and the state dict's."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import CheckpointError, PlanError, SurgeryError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.optimizer import copy_optimizer_state
from fairseq_gist.surgery.plan_buffer import decode_plan, encode_plan, plan_of
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.state import (
    export_state,
    parameters_in_state,
    reconcile,
    unit_sizes_in_state,
)
from fairseq_gist.surgery.units import count_parameters, find_units, module_at, select_units
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES

IDS = [2, 0, 3, 0, 1, 2]
FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"
PAIRS = [["de", "nl"], ["es", "fr"]]
OWN = (1, 2, 5, 9)
DIVISION = Division(FC2, 12, OWN)


def plan_for(model, groups=PAIRS, division=DIVISION, **others):
    """Return a plan that divides the first block, its own units in ``groups``."""
    units = {
        name: [LANGUAGES] for name in select_units(find_units(model)) if name not in (FC1, FC2)
    }
    shared_first, shared_second, own_first, own_second = divided_units(FC1, division)
    units.update({shared_first: [LANGUAGES], shared_second: [LANGUAGES]})
    units.update({own_first: groups, own_second: groups, **others})
    return SharingPlan(LANGUAGES, units, {"policy": "test"}, {FC1: division})


def divided(seed=0, **kwargs):
    torch.manual_seed(seed)
    model = zoo.plain()
    plan = plan_for(model, **kwargs)
    return model, plan, apply_plan(model, plan, model.routing)


def disturbed(model):
    """Make the copies differ."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


# ----------------------------------------------------------------------------------------- the plan
@given(st.sets(st.integers(0, 39), min_size=1, max_size=39))
def test_a_division_survives_its_json(own):
    division = Division("fc2", 40, tuple(sorted(own)))
    assert Division.from_json("fc1", division.to_json()) == division
    assert sorted(division.shared + division.own) == list(range(40))
    assert division.shared_fraction == pytest.approx(len(division.shared) / 40)


def test_ranges_can_be_read():
    assert Division("fc2", 12, (0, 1, 2, 5, 7, 8)).to_json()["own"] == "0-2,5,7-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"second": "fc2", "hidden": 4}, "expected 'second', 'hidden' and 'own'"),
        ({"second": "fc2", "hidden": "4", "own": "0"}, "expected a module path, a number"),
        (
            {"second": "fc2", "hidden": 4, "own": "0-x"},
            "expected ranges such as '0-3,7', found '0-x'",
        ),
        ({"second": "fc2", "hidden": 4, "own": ""}, "expected ranges"),
        (
            {"second": "fc2", "hidden": 4, "own": "0-3"},
            "expected some of its 4 neurons, found 4",
        ),
        (
            {"second": "fc2", "hidden": 4, "own": "3-4"},
            "expected ascending neurons from 0 to 3, found '3-4'",
        ),
        ({"second": "fc2", "hidden": 4, "own": "2-1"}, "from 0 to 3, found '2-1'"),
        ({"second": "fc2", "hidden": 4, "own": "0-999999999"}, "from 0 to 3, found '0-999999999'"),
        ({"second": "fc2", "hidden": 4, "own": "0-9999999999"}, "found '0-9999999999'"),
        ({"second": "fc2", "hidden": 4, "own": "٣"}, "expected ranges such as '0-3,7', found '٣'"),
        ({"second": "fc2", "hidden": 1, "own": "0"}, "expected two neurons or more, found 1"),
        ({"second": "fc2", "hidden": 4, "own": "2,1"}, "ascending, each once"),
        ({"second": "fc2", "hidden": 4, "own": "1,1"}, "ascending, each once"),
    ],
)
def test_what_is_no_division(content, message):
    with pytest.raises(PlanError, match=message) as error:
        Division.from_json("fc1", content)
    assert "division of 'fc1'" in str(error.value)


def test_a_plan_carries_its_divisions(tmp_path):
    plan = plan_for(zoo.plain())
    plan.save(tmp_path / "plan.json")
    for again in (
        SharingPlan.load(tmp_path / "plan.json"),
        pickle.loads(pickle.dumps(plan)),
        copy.deepcopy(plan),
        decode_plan(encode_plan(plan)),
    ):
        assert again == plan
        assert again.divisions == plan.divisions
        assert again.signature == plan.signature
    other = plan_for(zoo.plain(), division=Division(FC2, 12, (0, 1)))
    assert other != plan
    assert other.signature != plan.signature


def test_refining_keeps_divisions_and_may_add_some():
    model = zoo.plain()
    whole = SharingPlan.shared(LANGUAGES, select_units(find_units(model)))
    coarse, fine = plan_for(model, groups=[LANGUAGES]), plan_for(model)
    assert fine.refines(coarse)
    assert coarse.refines(whole)
    assert fine.refines(whole)
    assert not whole.refines(coarse)
    otherwise = plan_for(model, division=Division(FC2, 12, (0, 1)))
    assert not otherwise.refines(fine)
    with pytest.raises(PlanError, match=rf"would divide those of '{FC1}' otherwise"):
        otherwise.check_refines(fine)


def test_a_divided_projection_is_not_named_as_a_whole():
    with pytest.raises(
        PlanError, match=rf"unit '{FC2}' is divided: the plan should name its parts"
    ):
        SharingPlan(LANGUAGES, {FC2: [LANGUAGES]}, None, {FC1: DIVISION})
    with pytest.raises(PlanError, match="'b' are divided twice"):
        SharingPlan(LANGUAGES, {}, None, {"a": Division("b", 4, (0,)), "b": Division("c", 4, (0,))})


# ---------------------------------------------------------------------------------------- the model
@pytest.mark.parametrize("own", [(0,), OWN, tuple(range(11))])
@pytest.mark.parametrize("groups", [[LANGUAGES], PAIRS, [[one] for one in LANGUAGES]])
def test_the_function_stays(own, groups):
    torch.manual_seed(0)
    before = zoo.plain()
    after, plan, _ = divided(division=Division(FC2, 12, own), groups=groups)
    tokens, _ = zoo.batch(IDS)
    difference = (after(tokens, IDS) - before(tokens, IDS)).abs().max().item()
    assert difference < 1e-12, difference
    sizes = {name: unit.parameters for name, unit in find_units(after).items()}
    assert count_parameters(after) == plan.size(count_parameters(before), sizes)
    assert parameters_in_state(after.state_dict()) == count_parameters(after)
    found = unit_sizes_in_state(after.state_dict(), plan)
    assert found == {name: sizes[name] for name in plan.units}
    assert plan_of(after) == plan


def test_in_single_precision_it_stays_to_rounding():
    torch.manual_seed(0)
    before = zoo.plain().float()
    model = copy.deepcopy(before)
    apply_plan(model, plan_for(model), model.routing)
    tokens, _ = zoo.batch(IDS)
    expected = before(tokens, IDS)
    difference = ((model(tokens, IDS) - expected).abs().max() / expected.abs().max()).item()
    assert difference < 1e-6, difference


def test_gradients_are_those_of_the_whole_block():
    torch.manual_seed(0)
    before = zoo.plain()
    after, _, _ = divided(groups=[LANGUAGES])
    tokens, targets = zoo.batch(IDS)
    for model in (before, after):
        zoo.loss(model, tokens, targets, IDS).backward()
    whole = module_at(before, FC1).weight.grad
    for part, positions in (("own", DIVISION.own), ("shared", DIVISION.shared)):
        found = module_at(after, f"{FC1}.{part}").weight.grad
        assert (found - whole[list(positions)]).abs().max().item() < 1e-12


def test_groups_part_from_each_other_only_in_their_own_units():
    model, _, _ = divided()
    module = module_at(model, f"{FC1}.own")
    assert isinstance(module, GroupedModule)
    assert not isinstance(module_at(model, f"{FC1}.shared"), GroupedModule)
    tokens, targets = zoo.batch(IDS)
    zoo.loss(model, tokens[:1], targets[:1], [0]).backward()
    assert module.copies[0].weight.grad is not None
    assert module.copies[1].weight.grad is None
    assert module_at(model, f"{FC2}.shared").bias.grad is not None


def test_a_later_plan_splits_further_and_divides_more():
    model, plan, _ = divided()
    disturbed(model)
    tokens, _ = zoo.batch(IDS)
    expected = model(tokens, IDS)
    second = Division("decoder.layers.1.fc2", 12, (0, 3))
    parts = divided_units("decoder.layers.1.fc1", second)
    units = {name: groups for name, groups in plan.units.items() if "layers.1.fc" not in name}
    units.update({f"{FC1}.own": [["de"], ["nl"], ["es", "fr"]]}, **dict.fromkeys(parts, PAIRS))
    later = SharingPlan(LANGUAGES, units, {}, {FC1: DIVISION, "decoder.layers.1.fc1": second})
    apply_plan(model, later, model.routing)
    assert plan_of(model) == later
    assert (model(tokens, IDS) - expected).abs().max().item() < 1e-12


@pytest.mark.parametrize(
    ("division", "first", "message"),
    [
        (Division(FC2, 10, (0,)), FC1, r"divides 10 neurons .* makes 12"),
        (
            Division("decoder.layers.9.fc2", 12, (0,)),
            "decoder.layers.9.fc1",
            "the plan names 'decoder.layers.9.fc1', which is no unit of the model",
        ),
        (DIVISION, "decoder.layer_norm", "two projections of one feed-forward block"),
        (Division(FC1, 8, (0,)), FC2, "two projections of one feed-forward block, in their order$"),
        (
            Division("encoder.conformer_layers.0.ffn2.w_2", 12, (0,)),
            "encoder.conformer_layers.0.ffn2.w_1",
            r"names 'encoder.conformer_layers.0.ffn2.w_1', which is no unit .* for another",
        ),
        (Division("decoder.layers.1.fc2", 12, (0,)), FC1, f"neurons between '{FC1}' and 'decoder"),
        (
            Division("decoder.layers.0.self_attn.k_proj", 8, (0,)),
            "decoder.layers.0.self_attn.q_proj",
            "two projections of one feed-forward block",
        ),
    ],
)
def test_what_cannot_be_divided_leaves_the_model(division, first, message):
    model = zoo.plain()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    plan = SharingPlan(LANGUAGES, {}, None, {first: division})
    with pytest.raises(PlanError, match=message):
        apply_plan(model, plan, model.routing)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_a_block_that_is_split_as_a_whole_cannot_be_divided():
    model = zoo.plain()
    units = {name: [LANGUAGES] for name in select_units(find_units(model))}
    apply_plan(model, SharingPlan(LANGUAGES, {**units, FC1: PAIRS}), model.routing)
    with pytest.raises(PlanError, match="found GroupedModule; a unit that is split as a whole"):
        apply_plan(model, plan_for(zoo.plain()), model.routing)


# ------------------------------------------------------------------------------------ the optimizer
def adam(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, betas=(0.8, 0.9))


def test_parts_start_with_their_part_of_the_moments():
    torch.manual_seed(0)
    model = zoo.plain()
    old = adam(model)
    for step in range(3):
        old.zero_grad(set_to_none=True)
        zoo.loss(model, *zoo.batch(IDS, seed=step), IDS).backward()
        old.step()
    moments = old.state[module_at(model, FC1).weight]["exp_avg"].clone()
    of_bias = old.state[module_at(model, FC2).bias]["exp_avg"].clone()
    lineage = apply_plan(model, plan_for(model), model.routing)
    new = adam(model)
    copy_optimizer_state(old, new, lineage)
    for copied in module_at(model, f"{FC1}.own").copies:
        assert torch.equal(new.state[copied.weight]["exp_avg"], moments[list(OWN)])
    shared = module_at(model, f"{FC1}.shared").weight
    assert torch.equal(new.state[shared]["exp_avg"], moments[list(DIVISION.shared)])
    assert torch.equal(new.state[module_at(model, f"{FC2}.shared").bias]["exp_avg"], of_bias)
    new.step()


def test_an_optimizer_that_keeps_less_than_a_number_each_is_refused():
    model = zoo.plain()
    old = adam(model)
    old.state[module_at(model, FC1).weight] = {"row": torch.zeros(12)}
    lineage = apply_plan(model, plan_for(model), model.routing)
    with pytest.raises(SurgeryError, match=r"keeps 'row' of shape \(12,\)"):
        copy_optimizer_state(old, adam(model), lineage)


# ----------------------------------------------------------------------------------- the state dict
def test_a_checkpoint_rewrites_a_stock_model():
    trained = disturbed(divided()[0])
    state = dict(trained.state_dict())
    fresh = zoo.plain()
    reconcile(fresh, state, fresh.routing)
    fresh.load_state_dict(state)
    tokens, _ = zoo.batch(IDS)
    assert torch.equal(fresh(tokens, IDS), trained(tokens, IDS))
    assert [n for n, _ in fresh.named_parameters()] == [n for n, _ in trained.named_parameters()]


def test_a_divided_model_starts_from_a_shared_checkpoint():
    torch.manual_seed(5)
    shared = zoo.plain()
    state = dict(shared.state_dict())
    model, _, _ = divided()
    reconcile(model, state, model.routing)
    model.load_state_dict(state)
    tokens, _ = zoo.batch(IDS)
    assert (model(tokens, IDS) - shared(tokens, IDS)).abs().max().item() < 1e-12


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_languages_export_is_a_stock_model(language):
    trained = disturbed(divided()[0])
    exported = export_state(trained.state_dict(), language)
    stock = zoo.plain()
    assert set(exported) == set(stock.state_dict())
    stock.load_state_dict(exported)
    tokens, _ = zoo.batch(IDS)
    ids = [LANGUAGES.index(language)] * len(IDS)
    assert (stock(tokens, ids) - trained(tokens, ids)).abs().max().item() < 1e-12
    module = module_at(trained, f"{FC1}.own")
    own = module.copies[module.group_of[LANGUAGES.index(language)]]
    assert torch.equal(stock.decoder.layers[0].fc1.weight[list(OWN)], own.weight)


def test_policies_leave_divisions_as_they_are():
    model, plan, _ = divided(groups=[LANGUAGES])
    later = decide("random", Situation(shape_of(model), within=plan), plan_seed=2)
    assert later.divisions == plan.divisions
    assert later.refines(plan)
    apply_plan(model, later, model.routing)
    assert count_parameters(model) == later.parameters


def test_a_plan_says_what_is_divided():
    assert f"neurons of {FC1}: 8 of 12 shared (67%)" in describe_plan(plan_for(zoo.plain()), PLAIN)


@pytest.mark.parametrize("part", ["shared.weight", "own.copies.0.weight"])
def test_a_checkpoint_that_lacks_a_part_is_not_exported(part):
    model, _, _ = divided()
    state = {key: value for key, value in model.state_dict().items() if key != f"{FC1}.{part}"}
    with pytest.raises(CheckpointError, match=f"'{FC1}.*it is damaged"):
        export_state(state, "de")
    cut = dict(model.state_dict())
    cut[f"{FC1}.shared.weight"] = cut[f"{FC1}.shared.weight"][:3]
    with pytest.raises(CheckpointError, match="of the part 'shared' it has no weight of 8 neurons"):
        export_state(cut, "de")
