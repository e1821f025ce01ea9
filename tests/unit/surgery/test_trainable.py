"""Freezing all but a part, on models with tied, reused and split modules."""

from __future__ import annotations

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.trainable import train_only
from fairseq_gist.surgery.units import count_parameters, count_trained, find_units, select_units
from tests.unit import zoo


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def split(model):
    plan = zoo.some_plan(model, list(select_units(find_units(model))))
    apply_plan(model, plan, model.routing)


@pytest.mark.parametrize("kind", zoo.ALL)
@pytest.mark.parametrize("what", ["lna-d", r"decoder\.layers\.0", r".*\.fc[12]"])
def test_freezing_before_and_after_a_split_is_the_same(kind, what):
    before, after = zoo.ALL[kind](), zoo.ALL[kind]()
    train_only(before, what)
    split(before)
    split(after)
    train_only(after, what)
    assert trained(before) == trained(after) != set()


def test_a_tied_weight_is_trained_under_either_name():
    model = zoo.plain()
    train_only(model, r"decoder\.output_projection")
    assert trained(model) == {"decoder.embed_tokens.weight"}
    assert count_trained(model) == zoo.SYMBOLS * zoo.WIDTH < count_parameters(model)


def test_what_was_frozen_stays_frozen():
    model = zoo.frozen()
    train_only(model, "decoder")
    assert trained(model) == trained(zoo.frozen())


@pytest.mark.parametrize("what", ["adapters", "lna-e", "fc1", "decoder.layers.0.fc1.weight", "["])
def test_nothing_to_train_leaves_the_model_as_it_is(what):
    model = zoo.plain()
    with pytest.raises(OptionError, match="--train-only"):
        train_only(model, what)
    assert count_trained(model) == count_parameters(model)
