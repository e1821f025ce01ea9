"""Modules hand on gradients as long as they are asked to, and are as they were afterwards."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.watching import is_watched
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units
from tests.unit import zoo

IDS = [2, 0, 3, 0, 1]


def watched(model):
    return [path for path, module in model.named_modules() if is_watched(module)]


def replaced(model):
    return [path for path, module in model.named_modules() if "forward" in vars(module)]


def test_all_units_are_watched_inside_the_block_and_none_after_it():
    model = zoo.plain()
    units = find_units(model)
    with recording(model, units.values(), model.routing):
        assert set(watched(model)) == {path for unit in units.values() for path in unit.paths}
    assert replaced(model) == []


def test_units_that_are_split_on_the_way_stay_so():
    model, reference = zoo.plain(), zoo.plain()
    plan = zoo.some_plan(model, list(find_units(model)))
    with recording(model, find_units(model).values(), model.routing):
        apply_plan(model, plan, model.routing)
    apply_plan(reference, plan, reference.routing)
    assert replaced(model) == []
    tokens, _ = zoo.batch(IDS)
    assert torch.equal(model(tokens, IDS), reference(tokens, IDS))


def test_none_is_watched_where_one_cannot_be():
    model = zoo.plain()
    norm = model.decoder.layer_norm
    norm.forward = functools.partial(nn.LayerNorm.forward, norm)
    with pytest.raises(SurgeryError, match="decoder.layer_norm: its forward was replaced"):
        recording(model, find_units(model).values(), model.routing)
    assert replaced(model) == ["decoder.layer_norm"]
