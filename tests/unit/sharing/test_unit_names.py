"""What the names of units say."""

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.sharing.unit_names import DEFAULT_UNITS, UnitName, matching

LAYER = "decoder.layers.3"


SUBSAMPLE = "encoder.subsample.conv.0"


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
    found = UnitName.parse(name)
    assert (found.name, found.stack, found.layer, found.kind) == (name, stack, layer, kind)


@pytest.mark.parametrize(
    ("name", "module", "layer"),
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
def test_what_a_unit_is_part_of(name, module, layer):
    found = UnitName.parse(name)
    assert (found.module_path, found.layer_path) == (module, layer)


def test_whole_names_match_in_their_order():
    names = ["decoder.layers.1.fc1", "decoder.layer_norm", "decoder.embed_tokens", "encoder.fc1"]
    assert matching(DEFAULT_UNITS, names) == names[:2]
    assert matching("fc1", names) == []
    with pytest.raises(OptionError, match=r"--units: '\(' is no regular expression"):
        matching("(", names)
