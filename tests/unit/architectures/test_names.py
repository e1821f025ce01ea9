"""What the names of units say, in every architecture."""

import pytest

from fairseq_gist.architectures import (
    PLAIN,
    all_architectures,
    architecture_of,
    of_arch,
    recognise,
)
from tests.unit.zoo import Decoder

LAYER = "decoder.layers.3"
SUBSAMPLE = "encoder.subsample.conv.0"
KNOWN = all_architectures()
CONFORMER = "encoder.conformer_layers.3."


@pytest.mark.parametrize(
    ("name", "stack", "layer", "kind"),
    [
        (f"{LAYER}.self_attn.q_proj", "decoder", 3, "self_attn.q_proj"),
        (f"{LAYER}.final_layer_norm", "decoder", 3, "final_layer_norm"),
        ("encoder.transformer_layers.11.fc1", "encoder", 11, "fc1"),
        ("decoder.layer_norm", "decoder", None, "layer_norm"),
        ("decoder.embed_tokens", "decoder", None, "embed_tokens"),
        (SUBSAMPLE, "encoder", None, "subsample.conv.0"),
        ("layers.0.fc1", "", 0, "fc1"),
        ("head", "", None, "head"),
    ],
)
def test_parts_of_a_name(name, stack, layer, kind):
    found = PLAIN.place(name)
    assert (found.stack, found.layer, found.kind) == (stack, layer, kind)


@pytest.mark.parametrize(
    ("name", "block", "layer"),
    [
        (f"{LAYER}.self_attn.q_proj", f"{LAYER}.self_attn", LAYER),
        (f"{LAYER}.encoder_attn.out_proj", f"{LAYER}.encoder_attn", LAYER),
        (f"{LAYER}.fc1", f"{LAYER}.feed_forward", LAYER),
        (f"{LAYER}.fc2", f"{LAYER}.feed_forward", LAYER),
        (f"{LAYER}.final_layer_norm", f"{LAYER}.final_layer_norm", LAYER),
        ("layers.0.fc1", "layers.0.feed_forward", "layers.0"),
        ("decoder.layer_norm", "decoder.layer_norm", "decoder.layer_norm"),
        (SUBSAMPLE, SUBSAMPLE, SUBSAMPLE),
    ],
)
def test_what_a_unit_is_part_of(name, block, layer):
    found = PLAIN.place(name)
    assert (found.block, found.layer_path) == (block, layer)


@pytest.mark.parametrize(
    ("theirs", "canonical"),
    [
        ("cross_attention.q_proj", "encoder_attn.q_proj"),
        ("ffn.fc1", "fc1"),
        ("self_attn.k_proj", "self_attn.k_proj"),
    ],
)
def test_kinds_are_called_as_in_fairseq(theirs, canonical):
    assert KNOWN["seamless_m4t"].place(f"{LAYER}.{theirs}").kind == canonical


@pytest.mark.parametrize(
    ("name", "path", "dim"),
    [
        ("s2t_conformer", f"{CONFORMER}ffn1.w_1", 1),
        ("s2t_conformer", f"{CONFORMER}ffn2.layer_norm", 1),
        ("s2t_conformer", f"{CONFORMER}conv_module.layer_norm", 0),
        ("s2t_conformer", f"{CONFORMER}conv_module.pointwise_conv2", 0),
        ("s2t_conformer", f"{CONFORMER}conv_module.batch_norm", 0),
        ("s2t_conformer", f"{CONFORMER}self_attn.linear_q", 0),
        ("s2t_conformer", f"{CONFORMER}self_attn.linear_pos", 0),
        ("s2t_conformer", f"{CONFORMER}self_attn.q_proj", 1),
        ("s2t_conformer", f"{CONFORMER}self_attn_layer_norm", 1),
        ("s2t_conformer", "encoder.linear", 1),
        ("s2t_transformer", "encoder.subsample.conv_layers.0", 0),
        ("s2t_transformer", "encoder.subsample.out", 1),
        ("s2t_transformer", "encoder.transformer_layers.0.fc1", 1),
        ("s2t_transformer", "decoder.layers.0.encoder_attn.k_proj", 1),
        ("s2t_transformer", "decoder.embed_tokens", 0),
        ("seamless_m4t", "encoder.layers.0.ffn1.intermediate_dense", 0),
        ("whisper", "encoder.conv1", 0),
        ("whisper", "decoder.layers.0.fc1", 0),
    ],
)
def test_where_rows_are(name, path, dim):
    assert KNOWN[name].batch_dim(path) == dim
    assert KNOWN[name].has_common_input(path) == path.endswith("linear_pos")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("s2t_transformer", "decoder.layers.0.encoder_attn.k_proj"),
        ("s2t_conformer", "decoder.layers.0.encoder_attn.v_proj"),
        ("seamless_m4t", "decoder.layers.0.cross_attention.v_proj"),
    ],
)
def test_what_reads_the_output_of_the_encoder(name, path):
    assert KNOWN[name].is_source_reader(path)
    assert not KNOWN[name].is_source_reader(path.replace("v_proj", "q_proj").replace("k_", "q_"))
    assert not KNOWN[name].is_source_reader("decoder.layers.0.self_attn.k_proj")


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("s2t_transformer", "encoder.transformer_layers.1.fc1", "fc2"),
        ("s2t_conformer", "encoder.conformer_layers.1.ffn2.w_1", "w_2"),
        ("seamless_m4t", "encoder.layers.1.ffn2.intermediate_dense", "output_dense"),
        ("whisper", "encoder.layers.1.fc1", "fc2"),
    ],
)
def test_the_feed_forward_block_of_an_encoder_layer(name, first, second):
    own = KNOWN[name]
    whole = f"{first.rpartition('.')[0]}.{second}"
    assert own.feed_forward_blocks([whole, first, "encoder.x"]) == {first: whole}
    assert own.is_for_neurons(first)
    assert own.is_for_neurons(whole)
    assert not own.is_for_neurons(first.replace("ffn2", "ffn1").replace("encoder", "decoder"))


def test_defaults_are_the_layers_and_last_norm_of_the_decoder():
    names = [f"{LAYER}.fc1", f"{LAYER}.adapter.up", "decoder.layer_norm", "decoder.embed_tokens"]
    for own in KNOWN.values():
        assert [name for name in names if own.is_default(name)] == [names[0], names[2]]


@pytest.mark.parametrize(
    ("arch", "name"),
    [
        ("s2t_transformer", "s2t_transformer"),
        ("gist_s2t_transformer_m", "s2t_transformer"),
        ("gist_s2t_conformer", "s2t_conformer"),
        ("seamless_m4t", "seamless_m4t"),
        ("gist_whisper", "whisper"),
        ("s2t_transformers", None),
        ("wav2vec2", None),
        ("", None),
    ],
)
def test_whose_a_size_is(arch, name):
    found = of_arch(arch)
    assert (None if found is None else found.name) == name


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("s2t_transformer", ["encoder.transformer_layers.0.fc1", "decoder.layers.0.fc1"]),
        ("s2t_conformer", ["decoder.layers.0.fc1", f"{CONFORMER}ffn2.w_1"]),
        ("seamless_m4t", ["encoder.layers.11.ffn2.output_dense"]),
        ("seamless_m4t", ["decoder.layers.0.self_attn.k_proj", "decoder.layers.0.ffn.fc1"]),
        ("whisper", ["decoder.layers.0.fc1", "encoder.layers.5.fc1"]),
        ("whisper", ["encoder.conv2"]),
        ("plain", ["decoder.layers.0.self_attn.k_proj", "decoder.layer_norm"]),
        ("plain", []),
    ],
)
def test_names_tell_the_architecture(name, units):
    assert recognise(units).name == name
    assert recognise(f"{unit}.weight" for unit in units).name == name


def test_a_model_that_does_not_say_what_it_is():
    assert architecture_of(Decoder()) is PLAIN
