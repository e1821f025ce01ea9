"""Leaf modules that all languages share, in a model that knows the language of every row.

The module keeps its type, parameters and names; only its ``forward`` is replaced, so checkpoints
and every other user of the module see nothing.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import Routing

__all__ = ["is_watched", "read_source_once", "release", "watch"]


def read_source_once(module: nn.Module, routing: Routing) -> None:
    """Have a projection of the encoder's output run once a source instead of once a row.

    Args:
        module: a Linear whose input is `[time, sources, features]`.
        routing: of the model.
    """
    module.forward = functools.partial(_forward_source, module, routing)


def watch(
    module: nn.Module,
    routing: Routing,
    unit: str,
    path: str,
    batch_dim: int,
) -> None:
    """Have the module at ``path`` hand gradients to ``routing.sink`` while there is one.

    Args:
        module: to be watched.
        routing: of the model.
        unit: the name under which gradients are handed on.
        path: of the module in the model.
        batch_dim: where the rows are in its input.

    Raises:
        SurgeryError: when other code has replaced the module's ``forward`` already.
    """
    if "forward" in vars(module) and _replaced_by(module) not in _OWN:
        raise SurgeryError(
            f"{path}: its forward was replaced by {vars(module)['forward']!r}, so gradients per "
            "language can't be recorded there; leave the unit out of --units"
        )
    routing.note(path)
    reads_source = _reads_source(module)
    module.forward = functools.partial(
        _forward_watched, module, routing, unit, batch_dim, reads_source
    )


def is_watched(module: nn.Module) -> bool:
    """Whether the module hands on gradients."""
    return _replaced_by(module) is _forward_watched


def release(module: nn.Module) -> None:
    """Give ``module`` its own ``forward`` back."""
    if _replaced_by(module) in _OWN:
        del module.forward


def _replaced_by(module: nn.Module) -> object:
    return getattr(vars(module).get("forward"), "func", None)


def _reads_source(module: nn.Module) -> bool:
    if is_watched(module):
        return bool(vars(module)["forward"].args[-1])
    return _replaced_by(module) is _forward_source


def _forward_source(module: nn.Module, routing: Routing, x: Tensor) -> Tensor:
    output: Tensor = type(module).forward(module, x)
    batch = routing.current
    if batch is None or batch.source_of is None:
        return output
    return output.index_select(1, batch.source_of)


def _forward_watched(
    module: nn.Module, routing: Routing, unit: str, batch_dim: int, reads_source: bool, x: Tensor
) -> Tensor:
    if routing.sink is not None and torch.is_grad_enabled():
        batch = routing.batch(unit)
        return forward_recorded(module, x, batch, batch_dim, unit, routing.sink, reads_source)
    if reads_source:
        return _forward_source(module, routing, x)
    output: Tensor = type(module).forward(module, x)
    return output


_OWN = (_forward_source, _forward_watched)
