"""A kind of leaf from elsewhere: known by one object, it is recorded, split and divided."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import Leaf, leaf_names, leaf_of, register_leaf
from fairseq_gist.nn.watching import watch
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.state import export_state, reconcile
from fairseq_gist.surgery.units import find_units, module_at, select_units
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, Sink

IDS = [2, 0, 3, 0, 1, 2]
FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"


class Scaled(nn.Linear):
    """A projection whose output is multiplied by a fixed number before the bias is added."""

    def __init__(self, features_in, features_out, scale):
        super().__init__(features_in, features_out)
        self.scale = scale

    def forward(self, x):
        return F.linear(x * self.scale, self.weight, self.bias)


class ScaledLeaf(Leaf):
    """All that there is to know of it."""

    module = Scaled

    def forward(self, module, x, to, source_of=None):
        plain = leaf_of(nn.Linear(1, 1))
        return plain.forward(module, x * module.scale, to, source_of)

    def neurons_made(self, module):
        return module.out_features

    def neurons_read(self, module):
        return module.in_features

    def part(self, module, parameters):
        wide, narrow = parameters["weight"].shape
        part = Scaled(narrow, wide, module.scale)
        part.weight, part.bias = parameters["weight"], parameters.get("bias")
        return part


@pytest.fixture(autouse=True)
def _known():
    register_leaf(ScaledLeaf())


def scaled():
    """Return a model whose first feed-forward block is of such projections."""
    torch.manual_seed(2)
    model = zoo.plain()
    layer = model.decoder.layers[0]
    layer.fc1 = Scaled(zoo.WIDTH, 12, 0.5).double()
    layer.fc2 = Scaled(12, zoo.WIDTH, 3.0).double()
    return model


def plan_for(model, division=None):
    groups = [["de", "nl"], ["es"], ["fr"]]
    units = dict.fromkeys(select_units(find_units(model)), groups)
    if division is None:
        return SharingPlan(LANGUAGES, units)
    del units[FC1], units[FC2]
    one, other, *own = divided_units(FC1, division)
    return SharingPlan(
        LANGUAGES,
        {**units, one: [LANGUAGES], other: [LANGUAGES], **dict.fromkeys(own, groups)},
        divisions={FC1: division},
    )


def test_it_is_a_unit_and_named_among_the_kinds():
    assert "Scaled" in leaf_names()
    assert FC1 in find_units(scaled())


def test_it_is_recorded():
    model = scaled()
    reference = copy.deepcopy(model)
    for path in (FC1, FC2):
        watch(module_at(model, path), model.routing, path, path, PLAIN.batch_dim(path))
    sink = model.routing.sink = Sink()
    tokens, targets = zoo.batch(IDS)
    zoo.loss(model, tokens, targets, IDS).backward()
    rows = [row for row, one in enumerate(IDS) if one == 2]
    zoo.loss(reference, tokens[rows], targets[rows], [2] * len(rows)).backward()
    for path in (FC1, FC2):
        for part, parameter in module_at(reference, path).named_parameters():
            assert torch.allclose(sink.sums[path, part, 2], parameter.grad, rtol=1e-9), path


def test_it_is_split():
    model = scaled()
    reference = copy.deepcopy(model)
    apply_plan(model, plan_for(model), model.routing)
    assert isinstance(model.decoder.layers[0].fc1, GroupedModule)
    assert [type(one) for one in model.decoder.layers[0].fc1.copies] == [Scaled] * 3
    tokens, _ = zoo.batch(IDS)
    # few rows at a time are multiplied in another order
    assert torch.allclose(model(tokens, IDS), reference(tokens, IDS), rtol=0, atol=1e-12)


def test_it_is_divided_in_model_and_state_dict_and_put_together_again():
    model, late = scaled(), scaled()
    reference = copy.deepcopy(model)
    plan = plan_for(model, Division(FC2, 12, (1, 2, 5, 9)))
    apply_plan(model, plan, model.routing)
    tokens, _ = zoo.batch(IDS)
    expected = reference(tokens, IDS)
    assert torch.allclose(model(tokens, IDS), expected, rtol=0, atol=1e-12)
    exported = export_state(model.state_dict(), "es")
    for name, tensor in reference.state_dict().items():
        assert torch.equal(exported[name], tensor), name
    state = reference.state_dict()
    reconcile(model, state, model.routing)
    model.load_state_dict(state)
    assert torch.allclose(model(tokens, IDS), expected, rtol=0, atol=1e-12)
    state = model.state_dict()
    reconcile(late, state, late.routing)
    late.load_state_dict(state)
    assert torch.equal(late(tokens, IDS), model(tokens, IDS))


def test_a_kind_that_says_nothing_of_neurons_is_not_divided():
    for module in (nn.LayerNorm(4), nn.Embedding(3, 4)):
        leaf = leaf_of(module)
        assert leaf.neurons_made(module) is None
        assert leaf.neurons_read(module) is None
        with pytest.raises(SurgeryError, match="can't be divided"):
            leaf.part(module, {})
