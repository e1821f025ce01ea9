"""Gradients per language on held-out data, dropout off."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, List

import torch
from tqdm import tqdm

from fairseq_gist.errors import DataError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.training.recorder import GradientRecorder
from fairseq_gist.training.tokens import tokens_per_language

__all__ = ["measure"]

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
    batches = list(
        task.measuring_batches(subset, recorder.chunks, context.max_tokens, context.max_sentences)
    )
    if len(batches) < recorder.chunks:
        raise DataError(
            f"subset '{subset}' makes {len(batches)} batches, fewer than --gradient-chunks "
            f"{recorder.chunks}; give it more data, or ask for fewer chunks"
        )
    was_training, criterion_was_training = model.training, criterion.training
    kept = [(parameter, parameter.grad) for parameter in model.parameters()]
    model.eval()
    criterion.eval()
    try:
        for chunk in tqdm(range(recorder.chunks), desc=f"gradients on {subset}", unit="chunk"):
            _run_chunk(recorder, context, task, routing, batches[chunk :: recorder.chunks])
            recorder.finish_update(context.loss_scale)
            for parameter, _ in kept:
                parameter.grad = None
    finally:
        routing.sink = None
        for parameter, gradient in kept:
            parameter.grad = gradient
        model.train(was_training)
        criterion.train(criterion_was_training)


def _precision(autocast: bool) -> Any:
    return torch.autocast("cuda") if autocast else contextlib.nullcontext()


def _run_chunk(
    recorder: GradientRecorder, context: Any, task: Any, routing: Routing, batches: List[Any]
) -> None:
    for batch in batches:
        sample = context.to_device(batch)
        recorder.count_tokens(tokens_per_language(sample, task, context.criterion, routing))
        routing.sink = recorder
        with torch.enable_grad(), _precision(context.autocast):
            loss, _, _ = context.criterion(context.model, sample)
            (loss * context.loss_scale).backward()
        routing.sink = None
