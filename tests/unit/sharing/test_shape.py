"""The shape of a model: places, sizes, selection, and plans completed by it."""

import pytest

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.sharing.division import Division
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import BlockShape, ModelShape, Place, matches_none

LANGUAGES = ("de", "es", "fr")
APART = [[one] for one in LANGUAGES]
FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"
SIZES = {"encoder.norm": 4, FC1: 90, FC2: 81, "decoder.layer_norm": 18}


class Naming:
    """Everything of a decoder is default, and its blocks are for neurons."""

    def place(self, name):
        stack, _, kind = name.partition(".")
        return Place(stack, 0 if "layers" in name else None, "layer", "block", kind)

    def is_default(self, name):
        return name.startswith("decoder.")

    def is_for_neurons(self, name):
        return ".fc" in name


def shape_of(sizes=SIZES, blocks=True, **more):
    own = {FC1: BlockShape(FC2, 10, 9, 8)} if blocks else {}
    return ModelShape.of(("fr", "de", "es"), sizes, 1000, Naming(), own, **more)


def test_units_keep_their_order_and_languages_are_sorted():
    shape = shape_of()
    assert shape.languages == LANGUAGES
    assert shape.sizes == SIZES
    assert list(shape.units) == list(SIZES)
    assert shape.default == [FC1, FC2, "decoder.layer_norm"]


def test_parts_of_a_divided_block_have_the_place_of_the_whole():
    parts = {f"{FC1}.shared": 9, f"{FC1}.own": 81}
    shape = shape_of({**parts}, blocks=False)
    for name, size in parts.items():
        unit = shape.units[name]
        assert (unit.parameters, unit.place.layer, unit.place.stack) == (size, 0, "decoder")
        assert unit.place.kind == f"layers.0.fc1.{name.rpartition('.')[2]}"
        assert unit.is_default
        assert not unit.is_for_neurons


def test_dividing_gives_parts_that_add_up_to_the_whole():
    shape = shape_of()
    after = shape.divided({FC1: Division(FC2, 10, (1, 2, 5))})
    assert after.sizes == {
        "encoder.norm": 4,
        f"{FC1}.shared": 63,
        f"{FC1}.own": 27,
        f"{FC2}.shared": 57,
        f"{FC2}.own": 24,
        "decoder.layer_norm": 18,
    }
    assert sum(after.sizes.values()) == sum(SIZES.values())
    assert not after.blocks
    assert after.divided({FC1: Division(FC2, 10, (1, 2, 5))}) == after
    same = shape_of(after.sizes, blocks=False)
    assert {n: u.place for n, u in same.units.items()} == {
        n: u.place for n, u in after.units.items()
    }


def test_the_size_of_a_plan_counts_every_copy():
    shape = shape_of()
    assert shape.size_of(SharingPlan.shared(LANGUAGES, SIZES)) == 1000
    assert shape.size_of(SharingPlan.language_specific(LANGUAGES, SIZES)) == 1000 + 2 * 193
    division = {FC1: Division(FC2, 10, (0,))}
    parts = SharingPlan(LANGUAGES, {f"{FC1}.own": APART}, None, division)
    assert shape.size_of(parts) == 1000 + 2 * 9
    with pytest.raises(PlanError, match="unit 'other' of the plan is none of the 4 whose"):
        shape.size_of(SharingPlan.shared(LANGUAGES, ["other"]))


def test_a_plan_is_completed_with_what_there_is_so_far():
    shape = shape_of()
    before = SharingPlan(LANGUAGES, {"encoder.norm": APART, FC1: [["de"], ["es", "fr"]]})
    plan = SharingPlan(LANGUAGES, {FC1: APART}, {"policy": "by hand"})
    completed = shape.completed(plan, before)
    assert dict(completed.units) == {
        FC1: tuple(map(tuple, APART)),
        FC2: (LANGUAGES,),
        "decoder.layer_norm": (LANGUAGES,),
        "encoder.norm": tuple(map(tuple, APART)),
    }
    assert completed.provenance["policy"] == "by hand"
    assert completed.refines(before)
    assert shape.size_of(completed) == 1000 + 2 * (4 + 90)


def test_units_are_chosen_by_pattern_or_default():
    shape = shape_of()
    assert shape.select() == shape.default
    assert shape.select(neurons=True) == [FC1, FC2]
    assert shape.select("encoder.*") == ["encoder.norm"]
    with pytest.raises(OptionError, match="'nothing' matches none of the 4 units, which go from"):
        shape.select("nothing")
    with pytest.raises(OptionError, match=r"'\(' is no regular expression"):
        shape.select("(")
    with pytest.raises(OptionError, match="'odd' can't be split: it is odd"):
        shape_of(refused={"odd": "it is odd"}).select("od+")
    with pytest.raises(OptionError, match="none of the model's 1 units is a projection of an enc"):
        shape_of({"encoder.norm": 4}, blocks=False).select(neurons=True)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("encoder.layers.*", r"; try 'encoder\.conformer_layers\..*'"),
        (r"encoder\.conformer_layers", r"; try 'encoder\.conformer_layers\..*'"),
        (r"decoder\.layers\.\d+\.attn\..*", r"; try 'decoder\.layers\.0\.self_attn\..*'"),
        ("decoder.layer_norms", r"; try 'decoder\.layer_norm'"),
        ("decoder.layers.9.fc1", r"; try 'decoder\.layers\.0\.fc1'"),
        ("(a|b)+", ""),
        ("", ""),
    ],
)
def test_a_pattern_that_matches_nothing_hears_of_one_like_it(pattern, hint):
    names = ["encoder.conformer_layers.0.ffn1.w_1", "encoder.conformer_layers.1.ffn1.w_1"]
    names += ["decoder.layers.0.self_attn.q_proj", "decoder.layers.0.fc1", "decoder.layer_norm"]
    told = matches_none(pattern, names)
    assert told == (
        f"'{pattern}' matches none of the 5 units, which go from 'encoder.conformer_layers.0."
        f"ffn1.w_1' to 'decoder.layer_norm'{hint}"
    )
