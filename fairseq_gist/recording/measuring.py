"""Gradients per language on held-out data, dropout off."""

from __future__ import annotations

import contextlib
import logging
import random
from typing import Any, Iterable, Iterator, Mapping, Optional

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from fairseq_gist.data.known_rows import tell_rows
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.context import MeasuringContext
from fairseq_gist.host.protocols import Task
from fairseq_gist.recording.held_out import HeldOut
from fairseq_gist.recording.metric import metric_weights
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.tokens import tokens_per_language
from fairseq_gist.recording.watching import recording, units_to_record
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["measure", "only_units_learn", "record_batch"]

logger = logging.getLogger(__name__)


def measure(
    context: MeasuringContext,
    task: Task,
    subset: str,
    options: RecordingOptions,
    *,
    neurons: bool = False,
    metric: str = "plain",
    optimizer: Any = None,
    provenance: Optional[Mapping[str, Any]] = None,
) -> GradientStatistics:
    """Return what the gradients of a model on ``subset`` say, spread evenly over the chunks.

    Every process of a run must call this: each takes its share of the batches, and all get the
    statistics of the whole subset. Batches are read one after the other. Model, parameters, their
    gradients and the random state are as before afterwards.

    Args:
        context: the model and the run it is in.
        task: of the model.
        subset: name of the data, multi-way aligned for a fair comparison.
        options: what is recorded, and how it is kept.
        neurons: whether single neurons of feed-forward blocks are recorded, too.
        metric: in which inner products are taken, one of
            :data:`~fairseq_gist.recording.metric.METRICS`.
        optimizer: the state of Adam that it needs.
        provenance: where else the statistics come from.

    Raises:
        DataError: when there is no such subset, it has fewer batches than there are chunks, lacks a
            language, or has an utterance that is longer than a batch.
        OptionError: when there are no such units, their neurons can't be recorded, or the state of
            the optimizer is none for the metric.
    """
    model, processes = context.model, context.processes
    held_out = HeldOut.read(task.reader(), subset)
    limits = context.max_tokens, context.max_sentences
    held_out.check(subset, model.routing.languages, options.gradient_chunks, *limits)
    chunks = held_out.deal(options.gradient_chunks, *limits)
    units = units_to_record(model, options, neurons)
    weights = metric_weights(metric, model, units, optimizer)
    recorder = GradientRecorder(
        model,
        units,
        model.routing.languages,
        options,
        neurons=neurons,
        reduce=processes.add_up,
        is_scaled=context.loss_scale != 1.0,
        weights=weights,
    )
    logger.info(f"measuring gradients per language on '{subset}': {recorder}")
    progress = tqdm(
        chunks, desc=f"gradients on {subset}", unit="chunk", disable=not processes.is_first
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_left_alone(context))
        stack.enter_context(recording(model, units.values(), model.routing))
        stack.enter_context(only_units_learn(model, units.values()))
        for batches in progress:
            for batch in held_out.load(processes.share(batches)):
                record_batch(recorder, context, task, batch)
            recorder.finish_update(context.loss_scale)
    recorder.gather()
    named = {} if metric == "plain" else {"metric": metric}
    return recorder.statistics(
        shape_of(model).shared_parameters,
        {"gradients_from": subset, **(provenance or {}), **named, "chunks": recorder.chunks},
    )


def record_batch(
    recorder: GradientRecorder, context: MeasuringContext, task: Task, batch: Any
) -> None:
    """Have ``recorder`` take the gradients of one batch; see :func:`measure`."""
    sample, routing = context.to_device(batch), context.model.routing
    tell_rows(sample)
    recorder.count_tokens(tokens_per_language(sample, task, context.criterion, routing))
    routing.sink = recorder
    try:
        with torch.enable_grad(), _precision(context.autocast):
            loss, _, _ = context.criterion(context.model, sample)
            (loss * context.loss_scale).backward()
    finally:
        routing.sink = None


@contextlib.contextmanager
def only_units_learn(model: nn.Module, units: Iterable[Unit]) -> Iterator[None]:
    """Ask autograd for the gradients of ``units`` alone: no backward of an encoder without any.

    Embeddings keep theirs: activation checkpointing needs an input that asks for a gradient.
    """
    wanted = {
        parameter
        for unit in units
        for path in unit.paths
        for parameter in module_at(model, path).parameters()
    }
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            wanted.update(module.parameters(recurse=False))
    kept = [
        (parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()
    ]
    try:
        for parameter, _, learns in kept:
            parameter.grad = None
            parameter.requires_grad_(learns and parameter in wanted)
        yield
    finally:
        for parameter, gradient, learns in kept:
            parameter.requires_grad_(learns)
            parameter.grad = gradient


@contextlib.contextmanager
def _left_alone(context: MeasuringContext) -> Iterator[None]:
    """Switch dropout off, and leave mode and random state as they were.

    Dropout isn't all that draws: layers to be left out are drawn (``--decoder-layerdrop``) even
    where none is left out.
    """
    model, criterion = context.model, context.criterion
    was_training, criterion_was_training = model.training, criterion.training
    of_numpy, of_python = np.random.get_state(), random.getstate()
    devices = [context.device] if context.device.type == "cuda" else []
    model.eval()
    criterion.train(False)
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        model.train(was_training)
        criterion.train(criterion_was_training)
        np.random.set_state(of_numpy)
        random.setstate(of_python)


def _precision(autocast: bool) -> Any:
    return torch.autocast("cuda") if autocast else contextlib.nullcontext()
