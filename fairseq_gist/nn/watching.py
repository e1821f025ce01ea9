"""Leaf modules that all languages share and that hand on each one's gradient."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import ReadsSource
from fairseq_gist.nn.wrapping import Forward, Handle, Wrapper, replaced_by_others, wrap, wrapper_of

__all__ = ["Watch", "is_watched", "watch"]


class Watch(Wrapper):
    """Hands a module's gradients, language by language, to ``routing.sink`` while there is one.

    Args:
        routing: of the model.
        unit: the name under which gradients are handed on.
        batch_dim: where the rows are in the module's input.
    """

    level = 1

    def __init__(self, routing: Routing, unit: str, batch_dim: int) -> None:
        self.routing, self.unit, self.batch_dim = routing, unit, batch_dim

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        """Return ``forward`` with a way past it while gradients are recorded."""
        reads_source = wrapper_of(module, ReadsSource) is not None
        return functools.partial(
            _forward_watched,
            module,
            forward,
            self.routing,
            self.unit,
            self.batch_dim,
            reads_source,
        )


def watch(module: nn.Module, routing: Routing, unit: str, path: str, batch_dim: int) -> Handle:
    """Have the module at ``path`` hand gradients to ``routing.sink`` while there is one.

    Args:
        module: to be watched.
        routing: of the model.
        unit: the name under which gradients are handed on.
        path: of the module in the model.
        batch_dim: where the rows are in its input.

    Returns:
        What ends it.

    Raises:
        SurgeryError: when other code has replaced the module's ``forward`` already.
    """
    theirs = replaced_by_others(module)
    if theirs is not None:
        raise SurgeryError(
            f"{path}: its forward was replaced by {theirs!r}, so gradients per language can't be "
            "recorded there; leave the unit out of --units"
        )
    routing.note(path)
    return wrap(module, Watch(routing, unit, batch_dim))


def is_watched(module: nn.Module) -> bool:
    """Whether the module hands on gradients."""
    return wrapper_of(module, Watch) is not None


def _forward_watched(
    module: nn.Module,
    forward: Forward,
    routing: Routing,
    unit: str,
    batch_dim: int,
    reads_source: bool,
    x: Tensor,
) -> Any:
    if routing.sink is not None and torch.is_grad_enabled():
        batch = routing.batch(unit)
        return forward_recorded(module, x, batch, batch_dim, unit, routing.sink, reads_source)
    return forward(x)
