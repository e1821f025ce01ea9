"""Gradients per language on held-out data, dropout off."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Iterable, Iterator

import torch
from torch import nn
from tqdm import tqdm

from fairseq_gist.data.known_rows import tell_rows
from fairseq_gist.errors import DataError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.tokens import tokens_per_language
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["measure", "only_units_learn", "record_batch"]

logger = logging.getLogger(__name__)


def measure(
    recorder: GradientRecorder, context: Any, task: Any, routing: Routing, subset: str
) -> None:
    """Run ``recorder`` over the batches of ``subset``, spread evenly over its chunks.

    Parameters, their gradients and the random state are as before afterwards.

    Args:
        recorder: takes one update a chunk.
        context: a ``MeasuringContext``.
        task: of the model; gives the batches.
        routing: of the model, whose modules must be watched.
        subset: name of the data, multi-way aligned for a fair comparison.

    Raises:
        DataError: when the subset has fewer batches than there are chunks.
    """
    model, criterion = context.model, context.criterion
    chunks = task.measuring_batches(
        subset, recorder.chunks, context.max_tokens, context.max_sentences
    )
    filled = sum(bool(batches) for batches in chunks)
    if filled < recorder.chunks:
        raise DataError(
            f"subset '{subset}' makes {filled} batches, fewer than --gradient-chunks "
            f"{recorder.chunks}; give it more data, or ask for fewer chunks"
        )
    was_training, criterion_was_training = model.training, criterion.training
    model.eval()
    criterion.eval()
    try:
        with only_units_learn(model, recorder.units.values()):
            for batches in tqdm(chunks, desc=f"gradients on {subset}", unit="chunk"):
                for batch in batches:
                    record_batch(recorder, context, task, routing, batch)
                recorder.finish_update(context.loss_scale)
    finally:
        model.train(was_training)
        criterion.train(criterion_was_training)


def record_batch(
    recorder: GradientRecorder, context: Any, task: Any, routing: Routing, batch: Any
) -> None:
    """Have ``recorder`` take the gradients of one batch; see :func:`measure`."""
    sample = context.to_device(batch)
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


def _precision(autocast: bool) -> Any:
    return torch.autocast("cuda") if autocast else contextlib.nullcontext()
