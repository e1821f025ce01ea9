"""Surgery leaves the function, copies what is split and nothing else, all or nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.watching import watch
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, decode_plan, encode_plan, plan_of
from fairseq_gist.surgery.units import (
    Unit,
    count_parameters,
    find_units,
    module_at,
    select_units,
)
from fairseq_gist.surgery.workbench import use_module_calls
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, Sink, one_copy, some_plan

IDS = [2, 0, 3, 0, 1, 2]
FC1 = "decoder.layers.0.fc1"
PAIRS = [["de", "nl"], ["es", "fr"]]
ALONE = [[one] for one in LANGUAGES]


def operated(name="tied", seed=0, everything=True):
    model = zoo.ALL[name]()
    units = find_units(model)
    plan = some_plan(model, list(units if everything else select_units(units)), seed)
    return model, plan, apply_plan(model, plan, model.routing)


def default_plan(model, **units):
    """Return a plan of the default units, shared but for those given as layers_0_fc1."""
    shared = {name: [LANGUAGES] for name in select_units(find_units(model))}
    changed = {FC1 if name == "fc1" else name: groups for name, groups in units.items()}
    return SharingPlan(LANGUAGES, {**shared, **changed})


# -- units


def test_units_of_a_tied_model():
    units = find_units(zoo.plain())
    assert len(units) == 2 * 8 + 2
    embedding = units["decoder.embed_tokens"]
    assert embedding.paths == ("decoder.embed_tokens", "decoder.output_projection")
    assert embedding.parameters == zoo.SYMBOLS * zoo.WIDTH
    assert units[FC1] == Unit(FC1, (FC1,), 12 * 8 + 12, is_default=True)
    assert units["decoder.layers.1.self_attn.k_proj"].parameters == 64


def test_units_of_a_layer_with_two_names():
    units = find_units(zoo.reused())
    assert units[FC1].paths == (FC1, "decoder.layers.1.fc1")
    assert len(units) == 8 + 2


def test_a_norm_without_parameters_is_no_unit():
    model = nn.Sequential(nn.LayerNorm(3, elementwise_affine=False), nn.Linear(2, 2))
    assert list(find_units(model)) == ["1"]


def test_units_stay_the_same_through_surgery():
    for name in zoo.ALL:
        before = find_units(zoo.ALL[name]())
        model, _, _ = operated(name)
        assert find_units(model) == before, name


def test_default_units_are_those_of_the_decoder_without_embeddings():
    chosen = select_units(find_units(zoo.plain()))
    assert len(chosen) == 17
    assert "decoder.layer_norm" in chosen
    assert "decoder.embed_tokens" not in chosen


def test_a_pattern_chooses_whole_names():
    units = find_units(zoo.plain())
    assert list(select_units(units, r".*\.1\.fc[12]")) == [
        "decoder.layers.1.fc1",
        "decoder.layers.1.fc2",
    ]
    with pytest.raises(OptionError, match=r"'decoder' matches none of the 18 .*decoder\.embed_tok"):
        select_units(units, "decoder")
    with pytest.raises(OptionError, match=r"'\(' is no regular expression"):
        select_units(units, "(")
    with pytest.raises(OptionError, match="the model has no BatchNorm1d, Conv1d, .*Linear"):
        select_units({})


@pytest.mark.parametrize("path", ["decoder.embed_tokens", "decoder.output_projection"])
def test_rows_come_first_outside_the_layers(path):
    assert PLAIN.batch_dim(path) == 0
    assert PLAIN.batch_dim(FC1) == 1
    assert PLAIN.batch_dim("decoder.layer_norm") == 1


def test_parameters_are_counted_once():
    tied, untied = zoo.plain(), zoo.plain(tied=False)
    assert count_parameters(untied) - count_parameters(tied) == zoo.SYMBOLS * zoo.WIDTH
    assert count_parameters(tied) == sum(unit.parameters for unit in find_units(tied).values())


# -- what surgery does


@pytest.mark.parametrize("name", zoo.ALL)
@pytest.mark.parametrize("seed", range(5))
def test_the_function_stays(name, seed):
    before = zoo.ALL[name]()
    after, plan, _ = operated(name, seed)
    tokens, _ = zoo.batch(IDS)
    for ids in ([language] * len(IDS) for language in range(4)):
        difference = (after(tokens, ids) - before(tokens, ids)).abs().max().item()
        assert difference == 0.0, f"{LANGUAGES[ids[0]]}: {difference}"
    difference = (after(tokens, IDS) - before(tokens, IDS)).abs().max().item()
    assert difference < 1e-12, f"mixed batch: {difference}"  # the sums of a product are reordered
    sizes = {unit.name: unit.parameters for unit in find_units(before).values()}
    assert count_parameters(after) == plan.size(count_parameters(before), sizes)
    assert plan_of(after) == plan


@pytest.mark.parametrize("name", zoo.ALL)
def test_gradients_go_to_the_copies_of_their_languages(name):
    model, plan, _ = operated(name)
    reference = zoo.ALL[name]()
    tokens, targets = zoo.batch(IDS)
    zoo.loss(model, tokens, targets, IDS).backward()
    for unit, groups in plan.units.items():
        for group, languages in enumerate(groups):
            rows = [row for row, one in enumerate(IDS) if LANGUAGES[one] in languages]
            reference.zero_grad(set_to_none=True)
            own = [IDS[row] for row in rows]
            zoo.loss(reference, tokens[rows], targets[rows], own).backward()
            copied = one_copy(model, unit, LANGUAGES.index(languages[0]))
            for part, parameter in module_at(reference, unit).named_parameters():
                found, expected = getattr(copied, part).grad, parameter.grad
                where = f"{unit} group {group} {part}"
                assert (found is None) == (expected is None), where
                if expected is not None:
                    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12), where


@pytest.mark.parametrize("name", zoo.ALL)
def test_copies_share_no_memory_and_ties_hold_copy_by_copy(name):
    model, _, _ = operated(name)
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    assert len(set(addresses)) == len(addresses)
    for unit in find_units(model).values():
        for language in range(len(LANGUAGES)):
            weights = {id(one_copy(model, path, language).weight) for path in unit.paths}
            assert len(weights) == 1, f"{unit.name} came apart for {LANGUAGES[language]}"


def test_what_was_frozen_stays_frozen():
    _, _, lineage = operated("frozen")
    assert all(new.requires_grad == old.requires_grad for new, old in lineage.items())
    assert any(not new.requires_grad for new in lineage)


@pytest.mark.parametrize("name", ["reused", "reused leaf"])
def test_a_module_with_two_names_stays_one_module(name):
    model, _, _ = operated(name)
    one, other = (module_at(model, f"decoder.layers.{layer}.fc1") for layer in (0, 1))
    assert isinstance(one, GroupedModule)
    assert one is other


@pytest.mark.parametrize("name", zoo.ALL)
def test_parameters_are_in_the_order_of_a_model_built_and_operated_on_afresh(name):
    """Adam's state in a checkpoint goes by position."""
    trained, plan, _ = operated(name)
    fresh = zoo.ALL[name]()
    apply_plan(fresh, decode_plan(encode_plan(plan)), fresh.routing)
    assert [n for n, _ in trained.named_parameters()] == [n for n, _ in fresh.named_parameters()]
    assert list(trained.state_dict()) == list(fresh.state_dict())


def test_two_operations_give_the_order_of_one():
    coarse, fine = default_plan(zoo.plain(), fc1=PAIRS), default_plan(zoo.plain(), fc1=ALONE)
    twice, once = zoo.plain(), zoo.plain()
    apply_plan(twice, coarse, twice.routing)
    apply_plan(twice, fine, twice.routing)
    apply_plan(once, fine, once.routing)
    assert [n for n, _ in twice.named_parameters()] == [n for n, _ in once.named_parameters()]


@pytest.mark.parametrize("name", zoo.ALL)
def test_the_first_copy_is_the_old_parameter_and_lineage_tells_the_rest(name):
    model = zoo.ALL[name]()
    old = set(model.parameters())
    plan = some_plan(model, list(find_units(model)))
    lineage = apply_plan(model, plan, model.routing)
    new = set(model.parameters()) - old
    assert old <= set(model.parameters())
    assert set(lineage) == new
    assert set(lineage.values()) <= old
    assert all(torch.equal(copied, origin) for copied, origin in lineage.items())
    for unit in find_units(model):
        module = module_at(model, unit)
        if isinstance(module, GroupedModule):
            first, *others = module.copies
            assert set(first.parameters()) <= old
            for other in others:
                for part, parameter in other.named_parameters():
                    assert lineage[parameter] is getattr(first, part), f"{unit} {part}"


def test_a_second_operation_refines_the_first():
    model = zoo.plain()
    apply_plan(model, default_plan(model, fc1=PAIRS), model.routing)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    tokens, _ = zoo.batch(IDS)
    expected = model(tokens, IDS)
    first, second = module_at(model, FC1).copies
    finer = default_plan(model, fc1=[["de"], ["nl"], ["es", "fr"]])
    lineage = apply_plan(model, finer, model.routing)
    module = module_at(model, FC1)
    assert module.group_of == (0, 1, 1, 2)
    assert module.copies[0] is first
    assert module.copies[1] is second
    assert lineage == {
        module.copies[2].weight: first.weight,
        module.copies[2].bias: first.bias,
    }
    assert (model(tokens, IDS) - expected).abs().max().item() < 1e-12
    assert plan_of(model) == finer


def test_what_the_plan_shares_is_not_touched():
    model = zoo.plain()
    modules = {path: module_at(model, path) for path in find_units(model)}
    lineage = apply_plan(model, default_plan(model, fc1=PAIRS), model.routing)
    changed = [path for path, module in modules.items() if module_at(model, path) is not module]
    assert changed == [FC1]
    assert len(lineage) == 2


def test_a_shared_plan_leaves_a_stock_model():
    model, stock = zoo.plain(), zoo.plain()
    assert apply_plan(model, default_plan(model), model.routing) == {}
    assert list(model.state_dict()) == list(stock.state_dict())
    assert plan_of(model) is None


def test_shortcuts_past_the_modules_are_switched_off():
    model = zoo.plain()
    unit = "decoder.layers.1.self_attn.q_proj"
    apply_plan(model, default_plan(model, **{unit: PAIRS}), model.routing)
    assert [layer.self_attn.skip_embed_dim_check for layer in model.decoder.layers] == [False, True]


def test_a_fast_layer_loads_by_its_modules_again():
    layer = nn.Linear(2, 2)
    layer.can_use_fastpath = True
    layer._load_from_state_dict = None
    model = nn.ModuleDict({"layer": nn.ModuleDict({"x": layer})})
    use_module_calls(model, "layer.x.fc1")
    assert layer.can_use_fastpath is False
    model.load_state_dict(model.state_dict())


# -- recording and surgery


def watch_everything(model):
    for unit in find_units(model).values():
        for path in unit.paths:
            module = module_at(model, path)
            if not isinstance(module, GroupedModule):
                watch(module, model.routing, unit.name, path, PLAIN.batch_dim(path))


@pytest.mark.parametrize("name", zoo.ALL)
def test_watched_modules_are_split_and_recorded_on(name):
    model, reference = zoo.ALL[name](), zoo.ALL[name]()
    plan = some_plan(model, list(find_units(model)))
    watch_everything(model)
    apply_plan(model, plan, model.routing)
    for unit in find_units(model).values():
        for path in unit.paths:
            module = module_at(model, path)
            leaves = module.copies if isinstance(module, GroupedModule) else [module]
            is_watched = ["forward" in vars(leaf) for leaf in leaves]
            assert is_watched == [not isinstance(module, GroupedModule)] * len(leaves), path
    watch_everything(reference)
    sinks = []
    for one in (model, reference):
        sinks.append(Sink())
        one.routing.sink = sinks[-1]
        zoo.loss(one, *zoo.batch(IDS), IDS).backward()
    found, expected = (sink.sums for sink in sinks)
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        assert torch.allclose(found[key], gradient, rtol=1e-9, atol=1e-12), key


def test_a_model_that_was_operated_on_can_be_copied_whole():
    model, _, _ = operated()
    watch_everything(model)
    twin = copy.deepcopy(model)
    tokens, _ = zoo.batch(IDS)
    expected = model(tokens, IDS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(twin(tokens, IDS), expected)


def test_what_a_plan_does_not_name_stays_as_it_is():
    """Statistics of a few units, or of all but the last normalisation, make plans like this."""
    model = zoo.plain()
    whole = count_parameters(model)
    apply_plan(model, SharingPlan(LANGUAGES, {FC1: PAIRS}, shared_parameters=whole), model.routing)
    assert count_parameters(model) == whole + (12 * 8 + 12)
    expected = {FC1: PAIRS, "decoder.layers.1.fc2": [LANGUAGES[:1], LANGUAGES[1:]]}
    apply_plan(model, SharingPlan(LANGUAGES, expected, shared_parameters=whole), model.routing)
    assert plan_of(model).units == SharingPlan(LANGUAGES, expected).units
    assert count_parameters(model) == whole + (12 * 8 + 12) + (12 * 8 + 8)


# -- what is refused, with the model as it was


REFUSED = [
    (
        lambda plan: SharingPlan([*LANGUAGES, "xx"], {}),
        "the plan is for languages de, es, fr, nl, xx, the model has .*: it doesn't know 'xx'",
    ),
    (lambda plan: SharingPlan(LANGUAGES[:2], {}), "the plan lacks 'fr'"),
    (
        lambda plan: SharingPlan(LANGUAGES, {**plan.units, "decoder.layers.7.fc1": PAIRS}),
        r"names 'decoder\.layers\.7\.fc1', which is no unit of the model; .*another architecture",
    ),
    (
        lambda plan: SharingPlan(LANGUAGES, {**plan.units, "decoder.output_projection": PAIRS}),
        r"'decoder\.output_projection', which is tied to unit 'decoder\.embed_tokens': name that",
    ),
    (
        lambda plan: SharingPlan(LANGUAGES, {FC1: ALONE}, shared_parameters=108),
        r"doesn't say how 'decoder\.layers\.0\.self_attn\.q_proj' is shared \(16 units.*another",
    ),
    (lambda plan: SharingPlan(LANGUAGES, {}), "the plan names no unit"),
    (
        lambda plan: SharingPlan(LANGUAGES, {"decoder.layers.1.fc1": PAIRS}),
        rf"would join languages that it has separated on '{FC1}'",
    ),
    (
        lambda plan: SharingPlan(LANGUAGES, {**plan.units, FC1: [LANGUAGES]}),
        rf"would join languages that it has separated on '{FC1}' \(1 units\)",
    ),
    (
        lambda plan: SharingPlan(LANGUAGES, {**plan.units, FC1: [["de", "es"], ["fr", "nl"]]}),
        rf"would join languages that it has separated on '{FC1}'",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_a_plan_that_does_not_fit_is_refused_and_changes_nothing(change, message):
    model = zoo.plain()
    plan = default_plan(model, fc1=PAIRS)
    apply_plan(model, plan, model.routing)
    watch_everything(model)
    modules = dict(model.named_modules())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(PlanError, match=message):
        apply_plan(model, change(plan), model.routing)
    assert dict(model.named_modules()) == modules
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert plan_of(model) == plan


def test_a_plan_of_the_encoder_alone_leaves_the_decoder():
    model = zoo.plain()
    embedding = SharingPlan(LANGUAGES, {"decoder.embed_tokens": PAIRS})
    apply_plan(model, embedding, model.routing)
    assert plan_of(model) == embedding
    split = [name for name, module in model.named_modules() if isinstance(module, GroupedModule)]
    assert split == ["decoder.embed_tokens", "decoder.output_projection"]


def test_an_operation_that_fails_half_way_changes_nothing(monkeypatch):
    model = zoo.plain()
    modules = dict(model.named_modules())
    calls = []

    def deepcopy(module, memo=None):
        calls.append(module)
        if len(calls) > 5:
            raise MemoryError("no room for another copy")
        return copied(module) if memo is None else copied(module, memo)

    copied = copy.deepcopy
    monkeypatch.setattr("fairseq_gist.nn.wrapping.copy.deepcopy", deepcopy)
    with pytest.raises(MemoryError, match="no room"):
        apply_plan(model, some_plan(model, list(find_units(model))), model.routing)
    assert dict(model.named_modules()) == modules
    assert PLAN_KEY not in model.state_dict()
    assert model.decoder.output_projection.weight is model.decoder.embed_tokens.weight


def test_languages_of_the_model_in_another_order_are_refused():
    model = zoo.seeded(lambda: zoo.Model(Routing(("nl", "de", "es", "fr"))))
    with pytest.raises(PlanError, match="a model keeps its languages in alphabetical order"):
        apply_plan(model, default_plan(model, fc1=PAIRS), model.routing)
