"""Gradients per language on held-out data: only what is asked for, with the same numbers."""

import pytest
import torch

from fairseq_gist.host.trainer import MeasuringContext
from fairseq_gist.recording.held_out import only_units_learn, record_batch
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units, select_units
from tests.e2e.helpers import batch_of, build

EVERY = r"(en|de)coder\..*"


def record(parts, pattern, alone):
    task, model, criterion, sample = parts
    units = select_units(find_units(model), pattern)
    recorder = GradientRecorder(model, units, task.languages, 1, 1)
    recording(model, units.values(), model.routing)
    context = MeasuringContext(model, criterion, 1.0, lambda batch: batch, False, None, None)
    if alone:
        with only_units_learn(model, units.values()):
            record_batch(recorder, context, task, model.routing, sample)
    else:
        record_batch(recorder, context, task, model.routing, sample)
    recorder.finish_update()
    return recorder.state_dict()["sums"][0]


@pytest.fixture(params=[(), ("--checkpoint-activations",)], ids=["", "checkpointed"])
def parts(data, request):
    task, model, criterion = build(data, *request.param)
    model.eval()
    return task, model, criterion, batch_of(task, utterances=3, multiway=True)


@pytest.mark.parametrize("pattern", [None, EVERY], ids=["decoder", "every unit"])
def test_leaving_out_what_is_not_asked_for_changes_nothing(parts, pattern):
    alone, among_all = (record(parts, pattern, alone) for alone in (True, False))
    assert alone.keys() == among_all.keys()
    for unit, gradients in alone.items():
        assert gradients.abs().sum() > 0
        assert torch.equal(gradients, among_all[unit]), unit


def test_an_encoder_without_units_has_no_backward(parts):
    _, model, _, sample = parts
    own = sample["net_input"]
    audio = {name: own[name] for name in ("src_tokens", "src_lengths", "lang_ids", "utterances")}
    with only_units_learn(model, select_units(find_units(model)).values()):
        assert not model.encoder(**audio)["encoder_out"][0].requires_grad
    with only_units_learn(model, select_units(find_units(model), EVERY).values()):
        assert model.encoder(**audio)["encoder_out"][0].requires_grad


def test_the_model_is_left_as_it_was(parts):
    _, model, criterion, sample = parts
    frozen = next(model.encoder.parameters())
    frozen.requires_grad_(False)
    criterion(model, sample)[0].backward()
    before = {
        name: (parameter.requires_grad, None if parameter.grad is None else parameter.grad.clone())
        for name, parameter in model.named_parameters()
    }
    record(parts, None, alone=True)
    for name, parameter in model.named_parameters():
        learns, gradient = before[name]
        assert parameter.requires_grad == learns
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)
