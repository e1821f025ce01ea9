"""The heuristics: which kinds of units they share, and how large their models are."""

import re

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.policies import decide, find_policies
from fairseq_gist.policies.heuristic import Heuristic
from fairseq_gist.policies.situation import Situation
from tests.unit.made_up import MEDIUM_SHARED, medium_units, shape_of_sizes

LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]
DECODER = medium_units()
MODEL = {
    "encoder.subsample.conv_layers.0": 410_624,
    "encoder.transformer_layers.0.fc1": 1_050_624,
    "encoder.layer_norm": 1_024,
    "decoder.embed_tokens": 5_120_000,
    **DECODER,
    "decoder.output_projection": 5_120_000,
}


def plan_of(name, sizes=MODEL, units=None):
    shape = shape_of_sizes(LANGUAGES, sizes, MEDIUM_SHARED)
    pattern = None if units is None else "|".join(map(re.escape, units))
    return decide(name, Situation(shape, pattern=pattern))


def shared_kinds(plan):
    """Return what is shared in each layer; all layers have to agree."""
    kinds = [
        {unit.split(".", 3)[3] for unit in plan.units
         if unit.startswith(f"decoder.layers.{layer}.") and len(plan.units[unit]) == 1}
        for layer in range(6)
    ]  # fmt: skip
    assert all(own == kinds[0] for own in kinds)
    return kinds[0]


SELF = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"}
CROSS = {name.replace("self", "encoder") for name in SELF}


@pytest.mark.parametrize(
    ("name", "parameters", "kinds"),
    [
        ("encoder-only", 324_584_448, set()),
        ("self-attention", 208_778_240, SELF),
        ("cross-attention", 208_778_240, CROSS),
        ("key-value", 208_778_240, {n for n in SELF | CROSS if ".k_" in n or ".v_" in n}),
        ("query-key", 208_778_240, {n for n in SELF | CROSS if ".q_" in n or ".k_" in n}),
        ("query-key-value", 186_715_136, {n for n in SELF | CROSS if ".out_" not in n}),
        ("attention", 164_652_032, SELF | CROSS),
        ("feed-forward", 164_716_544, {"fc1", "fc2"}),
        ("language-specific", 252_904_448, set()),
    ],
)
def test_what_is_shared_and_how_large_it_is(name, parameters, kinds):
    plan = plan_of(name)
    assert shared_kinds(plan) == kinds
    assert plan.size(MEDIUM_SHARED, MODEL) == parameters
    assert plan.parameters == parameters
    assert set(DECODER) <= set(plan.units)
    assert not any(unit.startswith("encoder") for unit in plan.units)
    assert len(plan.units["decoder.layer_norm"]) == 8
    embeddings = {"decoder.embed_tokens", "decoder.output_projection"} & set(plan.units)
    assert len(embeddings) == (2 if name == "encoder-only" else 0)
    assert all(len(plan.units[unit]) == 8 for unit in embeddings)
    assert plan.provenance["policy"] == name
    assert plan.sizes == {unit: MODEL[unit] for unit in plan.units}


def test_shared_names_all_that_a_model_demands():
    plan = plan_of("shared")
    assert plan.is_shared
    assert list(plan.units) == list(DECODER)
    assert plan.parameters == MEDIUM_SHARED


def test_a_tied_output_projection_is_one_unit():
    tied = {unit: size for unit, size in MODEL.items() if unit != "decoder.output_projection"}
    plan = plan_of("encoder-only", tied)
    assert plan.parameters == 324_584_448 - 7 * 5_120_000


@pytest.mark.parametrize(
    "name",
    sorted(
        n for n, p in find_policies().items() if issubclass(p, Heuristic) and n != "encoder-only"
    ),
)
def test_sizes_of_the_decoders_layers_are_enough(name):
    assert plan_of(name, DECODER) == plan_of(name)


def test_fewer_units_may_be_split():
    top = [unit for unit in MODEL if ".5." in unit]
    plan = plan_of("feed-forward", units=top)
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert split == [unit for unit in top if "fc" not in unit]
    assert set(plan.units) == set(DECODER)
    assert plan_of("shared", units=top) == plan_of("shared")


def test_language_specific_splits_what_it_is_told_to():
    plan = plan_of("language-specific", units=["encoder.layer_norm"])
    assert len(plan.units["encoder.layer_norm"]) == 8
    assert all(len(plan.units[unit]) == 1 for unit in DECODER)


def test_what_cannot_be_is_refused():
    other = {"speech_encoder.layers.0.ffn1": 10, "text_decoder.layers.0.ffn": 20}
    with pytest.raises(
        OptionError,
        match=r"'shared' is about the decoder's layers, .*none of the 2 units from 'spe",
    ):
        plan_of("shared", other)
    with pytest.raises(OptionError, match="is none of the 0 units; the policy is for the decoders"):
        plan_of("shared", {})
    without = {unit: size for unit, size in DECODER.items() if "encoder_attn.k" not in unit}
    with pytest.raises(
        OptionError, match=r"'key-value' is about 'decoder.layers.\*.encoder_attn.k_"
    ):
        plan_of("key-value", without)
    with pytest.raises(
        OptionError, match="'decoder.embed_tokens' is none of the 79 .* name a checkpoint or an"
    ):
        plan_of("encoder-only", DECODER)
    with pytest.raises(OptionError, match="'attention' splits none of the units asked for"):
        plan_of("attention", units=["encoder.layer_norm"])
