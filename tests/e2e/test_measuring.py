"""Gradients per language on held-out data: only what is asked for, with the same numbers."""

import dataclasses
import random

import pytest
import torch
from fairseq.modules import LayerDropModuleList

from fairseq_gist.host.context import MeasuringContext, Processes
from fairseq_gist.nn.watching import is_watched
from fairseq_gist.recording.held_out import HeldOut
from fairseq_gist.recording.measuring import measure, only_units_learn, record_batch
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.units import find_units, select_units
from tests.e2e.helpers import batch_of, build

EVERY = r"(en|de)coder\..*"


def record(parts, pattern, alone):
    task, model, criterion, sample = parts
    units = select_units(find_units(model), pattern)
    recorder = GradientRecorder(model, units, task.languages, RecordingOptions(1))
    recording(model, units.values(), model.routing)
    context = MeasuringContext(model, criterion)
    if alone:
        with only_units_learn(model, units.values()):
            record_batch(recorder, context, task, sample)
    else:
        record_batch(recorder, context, task, sample)
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


@pytest.fixture
def alone(data):
    """A model whose layers may be left out in training, ready to be measured."""
    task, model, criterion = build(data)
    model.decoder.layers = LayerDropModuleList(0.2, model.decoder.layers)
    model.train()
    return task, MeasuringContext(model, criterion, max_tokens=1500)


OPTIONS = RecordingOptions(gradient_chunks=4)


def test_the_random_state_is_left_as_it_was(alone):
    """LayerDrop draws in eval mode, too, though it leaves nothing out then."""
    task, context = alone
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        random.seed(7)
        if states:
            measure(context, task, "multiway", OPTIONS)
        states.append([torch.rand(3).tolist(), random.random()])
    assert states[0] == states[1]
    assert context.model.training


def test_modules_have_their_own_forward_again(alone):
    task, context = alone
    measure(context, task, "multiway", OPTIONS)
    assert not any(map(is_watched, context.model.modules()))


def test_a_batch_is_read_when_its_turn_comes(data):
    """The whole subset is never in memory: of the features, there is one batch at a time."""
    task, _, _ = build(data)
    held_out = HeldOut.read(task.reader(), "multiway")
    read = []

    class Noting(type(held_out.dataset)):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    held_out.dataset.__class__ = Noting
    batches = [batch for chunk in held_out.deal(4, max_sentences=1) for batch in chunk]
    assert len(batches) == len(held_out.dataset)
    assert not read
    for count, _ in enumerate(held_out.load(batches), start=1):
        assert len(read) == count


def test_processes_share_the_batches(alone):
    """Each measures its own, and what they have together is what one alone has."""
    task, context = alone
    whole = measure(context, task, "multiway", OPTIONS)
    parts = []

    def keep(tensor):
        parts[-1].append(tensor.clone())
        return tensor

    for index in range(2):
        parts.append([])
        processes = Processes(index, 2, keep)
        measure(dataclasses.replace(context, processes=processes), task, "multiway", OPTIONS)
    others = iter(parts[0])
    processes = Processes(1, 2, lambda tensor: tensor.add_(next(others)))
    summed = measure(dataclasses.replace(context, processes=processes), task, "multiway", OPTIONS)
    assert 0 < parts[0][0].sum() < whole.probe_tokens.sum()
    assert summed.probe_tokens.tolist() == whole.probe_tokens.tolist()
    assert abs(summed.gram - whole.gram).max() < 1e-5 * abs(whole.gram).max()
