"""Every copy goes on from the moments of its parent."""

from __future__ import annotations

import copy

import pytest
import torch

from fairseq_gist.errors import SurgeryError
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.optimizer import copy_optimizer_state
from fairseq_gist.surgery.units import find_units
from tests.unit import zoo
from tests.unit.zoo import some_plan

IDS = [2, 0, 3, 0, 1]


def adam(parameters, lr=0.01):
    return torch.optim.Adam(parameters, lr=lr, betas=(0.8, 0.9), weight_decay=0.01)


def stepped(name="tied", steps=3):
    model = zoo.ALL[name]()
    optimizer = adam([p for p in model.parameters() if p.requires_grad])
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        zoo.loss(model, *zoo.batch(IDS, seed=step), IDS).backward()
        optimizer.step()
    return model, optimizer


def split(model, old, lr=0.5):
    lineage = apply_plan(model, some_plan(model, list(find_units(model))), model.routing)
    new = adam([p for p in model.parameters() if p.requires_grad], lr)
    copy_optimizer_state(old, new, lineage)
    return new, lineage


@pytest.mark.parametrize("name", zoo.ALL)
def test_the_next_step_of_a_copy_is_that_of_its_parent(name):
    model, old = stepped(name)
    reference, reference_optimizer = stepped(name)
    new, lineage = split(model, old)
    names = {parameter: name for name, parameter in reference.named_parameters()}
    trainable = [p for p in reference.parameters() if p.requires_grad]
    by_origin = dict(zip(old.param_groups[0]["params"], trainable))

    generator = torch.Generator().manual_seed(4)
    for parameter in trainable:
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.double)
    for parameter in new.param_groups[0]["params"]:
        parameter.grad = by_origin[lineage.get(parameter, parameter)].grad.clone()
    new.step()
    reference_optimizer.step()
    assert lineage
    for parameter in new.param_groups[0]["params"]:
        expected = by_origin[lineage.get(parameter, parameter)]
        difference = (parameter - expected).abs().max().item()
        assert difference == 0.0, f"{names[expected]}: {difference}"


def test_copies_have_moments_of_their_own():
    model, old = stepped()
    new, lineage = split(model, old)
    for parameter, origin in lineage.items():
        for key, value in new.state[parameter].items():
            theirs = new.state[origin][key]
            if torch.is_tensor(value):
                assert value.data_ptr() != theirs.data_ptr(), key
                assert torch.equal(value, theirs), key
            else:
                assert value == theirs, key


def test_hyper_parameters_are_taken_over():
    model, old = stepped()
    old.param_groups[0]["lr"] = 0.0123
    new, _ = split(model, old, lr=0.5)
    assert new.param_groups[0]["lr"] == 0.0123
    assert len(new.param_groups[0]["params"]) == len(list(model.parameters()))


def test_a_parameter_that_was_never_updated_has_no_state():
    model, old = stepped("unused")
    new, lineage = split(model, old)
    idle = set(model.decoder.layers[2].parameters())
    assert idle & set(lineage), "the layer should have been split"
    assert not idle & set(new.state)
    assert set(model.parameters()) - idle == set(new.state)


def test_the_state_loads_in_a_model_that_was_rebuilt():
    """As on resume: the positions of parameters are those of a fresh model."""
    model, old = stepped()
    new, _ = split(model, old)
    fresh = zoo.plain()
    apply_plan(fresh, some_plan(fresh, list(find_units(fresh))), fresh.routing)
    fresh.load_state_dict(model.state_dict())
    resumed = adam(fresh.parameters())
    resumed.load_state_dict(copy.deepcopy(new.state_dict()))
    for one, optimizer in ((model, new), (fresh, resumed)):
        optimizer.zero_grad(set_to_none=True)
        zoo.loss(one, *zoo.batch(IDS, seed=9), IDS).backward()
        optimizer.step()
    for (path, ours), theirs in zip(fresh.named_parameters(), model.parameters()):
        assert torch.equal(ours, theirs), path


def test_what_cannot_be_carried_over_is_refused_before_anything_changes():
    model, old = stepped()
    stranger = torch.nn.Parameter(torch.zeros(2, 3))
    new = adam([*model.parameters(), stranger])
    with pytest.raises(SurgeryError, match=r"shape \(2, 3\) is neither old nor a copy"):
        copy_optimizer_state(old, new, Lineage())
    assert not new.state
    half = list(model.parameters())
    two = adam([{"params": half[:3]}, {"params": half[3:]}])
    with pytest.raises(SurgeryError, match="had 1 parameter groups and has 2 after the split"):
        copy_optimizer_state(old, two, Lineage())
