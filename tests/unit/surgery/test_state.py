"""Models and checkpoints agree on one plan, in every direction, and give single languages back."""

from __future__ import annotations

import re

import pytest
import torch

from fairseq_gist.errors import CheckpointError, PlanError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import (
    PLAN_KEY,
    decode_plan,
    encode_plan,
    plan_in_state,
    plan_of,
    store_plan,
)
from fairseq_gist.surgery.state import (
    export_state,
    parameters_in_state,
    reconcile,
    unit_sizes_in_state,
)
from fairseq_gist.surgery.units import count_parameters, find_units, module_at
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, one_copy

IDS = [2, 0, 3, 0, 1]
FC1, EMBED = "decoder.layers.0.fc1", "decoder.embed_tokens"
SHARED = [LANGUAGES]
PAIRS = [["de", "nl"], ["es", "fr"]]
FINER = [["de"], ["nl"], ["es", "fr"]]
ACROSS = [["de", "es"], ["fr", "nl"]]


def plan_for(model, languages=LANGUAGES, provenance=None, **groups):
    units = {name: [languages] for name in find_units(model)}
    for name, partition in groups.items():
        units[{"fc1": FC1, "embed": EMBED}[name]] = partition
    return SharingPlan(languages, units, provenance)


def model_with(name="tied", **groups):
    model = zoo.ALL[name]()
    if groups:
        apply_plan(model, plan_for(model, **groups), model.routing)
    return model


def trained(model):
    """Return the model with every copy different."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.double))
    return model


def load(model, state):
    state = dict(state)
    reconcile(model, state, model.routing)
    model.load_state_dict(state)
    return model


# -- the plan in the model


def test_the_plan_is_a_buffer_of_integers():
    model = model_with(fc1=PAIRS)
    buffer = model.state_dict()[PLAN_KEY]
    assert buffer.dtype == torch.int64
    assert bytes(buffer.tolist()).decode() == plan_of(model).to_json()
    assert plan_of(model.half()) == plan_for(model, fc1=PAIRS)
    assert plan_of(zoo.plain()) is None
    assert plan_in_state(zoo.plain().state_dict()) is None


@pytest.mark.parametrize("checkpoints", [1, 3, 1000])
def test_the_plan_survives_averaging_of_integers(checkpoints):
    """As fairseq's averaging script does: a sum, divided and rounded down."""
    plan = SharingPlan(["de", "中文"], {FC1: [["de"], ["中文"]]})
    total = torch.zeros_like(encode_plan(plan))
    for _ in range(checkpoints):
        total += encode_plan(plan)
    assert decode_plan(torch.div(total, checkpoints, rounding_mode="floor")) == plan


def test_a_buffer_that_is_no_plan_is_refused():
    one = encode_plan(SharingPlan(["de", "fr"], {FC1: [["de"], ["fr"]]}))
    for spoilt in (one - 1, torch.full((4,), 300), torch.tensor([-1])):
        with pytest.raises(PlanError, match="the checkpoint's sharing plan: not JSON"):
            decode_plan(spoilt)


def test_a_new_plan_replaces_the_old():
    model = model_with(fc1=PAIRS)
    store_plan(model, plan_for(model, fc1=FINER))
    assert plan_of(model).units[FC1] == (("de",), ("es", "fr"), ("nl",))


# -- checkpoint and model


@pytest.mark.parametrize("name", ["tied", "untied", "reused"])
@pytest.mark.parametrize(
    ("checkpoint", "model"),
    [
        ({}, {}),
        ({"fc1": PAIRS}, {}),
        ({"fc1": PAIRS, "embed": FINER}, {}),
        ({"fc1": FINER}, {"fc1": PAIRS}),
        ({"fc1": PAIRS}, {"fc1": PAIRS}),
    ],
)
def test_the_model_becomes_what_the_checkpoint_is(name, checkpoint, model):
    source = trained(model_with(name, **checkpoint))
    target = load(model_with(name, **model), source.state_dict())
    assert plan_of(target) == plan_of(source)
    tokens, _ = zoo.batch(IDS)
    difference = (target(tokens, IDS) - source(tokens, IDS)).abs().max().item()
    assert difference == 0.0
    assert list(target.state_dict()) == list(source.state_dict())


@pytest.mark.parametrize("name", ["tied", "untied", "reused"])
@pytest.mark.parametrize(
    ("checkpoint", "model"),
    [
        ({}, {"fc1": PAIRS}),
        ({}, {"fc1": PAIRS, "embed": FINER}),
        ({"fc1": PAIRS}, {"fc1": FINER}),
        ({"fc1": PAIRS}, {"fc1": PAIRS, "embed": PAIRS}),
    ],
)
def test_the_copies_of_a_finer_model_start_from_the_checkpoint(name, checkpoint, model):
    source = trained(model_with(name, **checkpoint))
    target = load(model_with(name, **model), source.state_dict())
    assert plan_of(target) == plan_for(target, **model)
    tokens, _ = zoo.batch(IDS)
    for language in range(4):
        ids = [language] * len(IDS)
        difference = (target(tokens, ids) - source(tokens, ids)).abs().max().item()
        assert difference == 0.0, f"{LANGUAGES[language]}: {difference}"


@pytest.mark.parametrize(
    ("checkpoint", "model"),
    [
        ({"fc1": PAIRS}, {"fc1": ACROSS}),
        ({"fc1": PAIRS}, {"embed": PAIRS}),
        ({"fc1": FINER}, {"fc1": PAIRS, "embed": PAIRS}),
    ],
)
def test_plans_that_contradict_each_other_are_refused(checkpoint, model):
    source, target = model_with(**checkpoint), model_with(**model)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load(target, source.state_dict())
    assert plan_of(source).signature in str(caught.value)
    assert plan_of(target).signature in str(caught.value)
    assert "neither only splits the other further" in str(caught.value)
    for key, value in target.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_checkpoint_of_other_languages_is_refused():
    state = dict(zoo.plain().state_dict())
    state[PLAN_KEY] = encode_plan(SharingPlan(["de", "xx"], {FC1: [["de"], ["xx"]]}))
    with pytest.raises(
        CheckpointError, match="for languages de, xx, the model's for de, es, fr, nl"
    ):
        load(model_with(fc1=PAIRS), state)
    with pytest.raises(PlanError, match="it doesn't know 'xx'"):
        load(zoo.plain(), state)


def test_a_checkpoint_of_another_architecture_is_named():
    state = {key: value for key, value in zoo.plain().state_dict().items() if FC1 not in key}
    with pytest.raises(CheckpointError, match=rf"the checkpoint has no parameters of '{FC1}'"):
        load(model_with(fc1=PAIRS), state)


@pytest.mark.parametrize("groups", [PAIRS, FINER])
def test_plans_with_another_provenance_load(groups):
    """The buffers then differ in length."""
    source, target = zoo.plain(), zoo.plain()
    theirs = plan_for(source, fc1=groups, provenance={"policy": "gradient", "seed": 3})
    apply_plan(source, theirs, source.routing)
    apply_plan(target, plan_for(target, fc1=PAIRS), target.routing)
    load(target, source.state_dict())
    assert plan_of(target).provenance == {"policy": "gradient", "seed": 3}


def test_a_plan_written_with_other_spaces_loads():
    source = model_with(fc1=PAIRS)
    state = dict(source.state_dict())
    text = plan_of(source).to_json().replace("\n", " ").replace("  ", "")
    state[PLAN_KEY] = torch.tensor(list(text.encode()))
    assert plan_of(load(zoo.plain(), state)) == plan_of(source)


def test_a_checkpoint_with_a_shared_plan_loads_into_a_stock_model():
    source = zoo.plain()
    store_plan(source, plan_for(source))
    target = load(zoo.plain(), source.state_dict())
    assert not any(isinstance(module, GroupedModule) for module in target.modules())


# -- one language


@pytest.mark.parametrize("name", ["tied", "untied"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_export_gives_the_stock_model_of_a_language(name, language):
    model = trained(model_with(name, fc1=PAIRS, embed=FINER))
    stock = zoo.ALL[name]()
    exported = export_state(model.state_dict(), language)
    assert set(exported) == set(stock.state_dict())
    position = LANGUAGES.index(language)
    for path in [*find_units(stock), "decoder.output_projection"]:
        for part, parameter in one_copy(model, path, position).named_parameters():
            assert torch.equal(exported[f"{path}.{part}"], parameter), f"{path}.{part}"
    stock.load_state_dict(exported)
    tokens, _ = zoo.batch(IDS)
    ids = [position] * len(IDS)
    assert torch.equal(stock(tokens, ids), model(tokens, ids))


def test_export_from_a_shared_checkpoint_is_the_checkpoint():
    state = zoo.plain().state_dict()
    assert export_state(state, "de").keys() == state.keys()


def test_export_names_what_it_does_not_know():
    state = dict(model_with(fc1=PAIRS).state_dict())
    with pytest.raises(CheckpointError, match="has no language 'xx'; it has de, es, fr, nl"):
        export_state(state, "xx")
    state["encoder.fc1.copies.0.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"copies of 'encoder\.fc1', which its plan lacks"):
        export_state(state, "de")


@pytest.mark.parametrize("gone", [r"\.copies\.", r"\.copies\.1\.", r"\.copies\.1\.bias$"])
def test_a_checkpoint_that_lacks_copies_is_not_exported(gone):
    state = model_with(fc1=PAIRS).state_dict()
    split = next(key for key in state if ".copies." in key).partition(".copies.")[0]
    left = {
        key: tensor
        for key, tensor in state.items()
        if not (key.startswith(split) and re.search(gone, key))
    }
    assert len(left) < len(state)
    with pytest.raises(CheckpointError, match=rf"splits '{split}' among .* no whole copy"):
        export_state(left, "de")


# -- counting


@pytest.mark.parametrize("name", ["tied", "untied", "reused", "unused"])
def test_parameters_of_a_state_are_those_of_its_model(name):
    model = model_with(name, fc1=PAIRS, embed=FINER)
    state = dict(model.state_dict())
    state["decoder.version"] = torch.tensor([3.0])
    state["decoder.embed_positions._float_tensor"] = torch.zeros(1)
    state["encoder.transformer_layers.0.in_proj_weight"] = torch.zeros(5, 5)
    assert parameters_in_state(state) == count_parameters(model)
    sizes = {unit.name: unit.parameters for unit in find_units(model).values()}
    assert unit_sizes_in_state(state, plan_of(model)) == sizes


def test_tied_parameters_count_once_even_where_they_were_copied_apart():
    embedding = torch.arange(12.0).view(4, 3)
    state = {
        "encoder.norm.running_mean": torch.zeros(3),
        "encoder.norm.num_batches_tracked": torch.tensor(7),
        "encoder.fc.weight": torch.ones(5, 3),
        "decoder.embed_tokens.weight": embedding,
        "decoder.output_projection.weight": embedding.clone(),
    }
    state["encoder.again.weight"] = state["encoder.fc.weight"]
    assert parameters_in_state(state) == 15 + 12
    state["decoder.output_projection.weight"] += 1
    assert parameters_in_state(state) == 15 + 24


def test_paths_of_copies_are_those_of_modules():
    model = model_with(fc1=PAIRS)
    keys = [key for key in model.state_dict() if key.startswith(FC1)]
    assert keys == [f"{FC1}.copies.{g}.{part}" for g in (0, 1) for part in ("weight", "bias")]
    assert isinstance(module_at(model, FC1), GroupedModule)
