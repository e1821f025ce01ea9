"""Activation checkpointing: the recomputed layer knows its rows' languages."""

from __future__ import annotations

import functools

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from fairseq_gist.architectures import PLAIN
from fairseq_gist.nn.checkpointing import checkpoint_routed
from fairseq_gist.nn.watching import watch
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, module_at, select_units
from tests.unit import zoo
from tests.unit.zoo import Sink

IDS = [2, 0, 3, 0, 1]

# torch 1.12's own checkpointing warns where there is no CUDA
pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda'")


def wrapper(module, use_reentrant):
    """Wrap as fairseq does: the layer's forward is replaced and gets arguments by name, too."""

    def run(forward, *args, **kwargs):
        flat = [*args, *kwargs.values()]

        def call(*flat):
            own = dict(zip(kwargs, flat[len(args) :]))
            return forward(*flat[: len(args)], **own)

        return checkpoint(call, *flat, use_reentrant=use_reentrant)

    module.forward = functools.partial(run, module.forward)
    return module


def checkpointed(model, use_reentrant):
    for layer in model.decoder.layers:
        checkpoint_routed(layer, model.routing, lambda module: wrapper(module, use_reentrant))
    return model


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("checkpoint_first", [True, False])
def test_gradients_equal_those_without_checkpointing(use_reentrant, checkpoint_first):
    model, reference = zoo.plain(), zoo.plain()
    units = list(select_units(find_units(model)))
    plan = zoo.some_plan(model, units)
    if checkpoint_first:  # as fairseq does, when it builds a layer
        checkpointed(model, use_reentrant)
    apply_plan(model, plan, model.routing)
    if not checkpoint_first:
        checkpointed(model, use_reentrant)
    apply_plan(reference, plan, reference.routing)
    tokens, targets = zoo.batch(IDS)
    expected = zoo.loss(reference, tokens, targets, IDS)
    expected.backward()
    found = zoo.loss(model, tokens, targets, IDS)
    assert found.item() == expected.item()
    found.backward()
    for (path, own), other in zip(model.named_parameters(), reference.parameters()):
        difference = (own.grad - other.grad).abs().max().item()
        assert difference <= 1e-12 * other.grad.abs().max().item(), f"{path}: {difference}"


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_gradients_are_recorded_once(use_reentrant):
    sinks = []
    for wrapped in (False, True):
        model = zoo.plain()
        for unit in find_units(model).values():
            for path in unit.paths:
                module = module_at(model, path)
                watch(module, model.routing, unit.name, path, PLAIN.batch_dim(path))
        if wrapped:
            checkpointed(model, use_reentrant)
        sink = model.routing.sink = Sink()
        sinks.append(sink)
        zoo.loss(model, *zoo.batch(IDS), IDS).backward()
    plain, recomputed = sinks
    assert plain.sums.keys() == recomputed.sums.keys()
    for key, expected in plain.sums.items():
        assert torch.equal(recomputed.sums[key], expected), key


def test_a_batch_without_languages_passes_as_long_as_nothing_is_routed():
    model = checkpointed(zoo.plain(), True)
    tokens, _ = zoo.batch(IDS)
    expected = zoo.plain().decoder(tokens)
    assert torch.equal(model.decoder(tokens), expected)
