"""Recording the gradients of a leaf module that all languages share.

The module keeps its type, parameters and names; only its ``forward`` is replaced, and only as
long as it is watched, so checkpoints and every other user of the module see nothing.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import Routing

__all__ = ["unwatch", "watch"]


def watch(module: nn.Module, routing: Routing, unit: str, path: str, batch_dim: int) -> None:
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
    if "forward" in vars(module) and not _is_watched(module):
        raise SurgeryError(
            f"{path}: its forward was replaced by {vars(module)['forward']!r}, so gradients per "
            "language can't be recorded there; leave the unit out of --units"
        )
    routing.note(path)
    module.forward = functools.partial(_forward, module, routing, unit, batch_dim)


def unwatch(module: nn.Module) -> None:
    """Give ``module`` its own ``forward`` back."""
    if _is_watched(module):
        del module.forward


def _is_watched(module: nn.Module) -> bool:
    return getattr(vars(module).get("forward"), "func", None) is _forward


def _forward(module: nn.Module, routing: Routing, unit: str, batch_dim: int, x: Tensor) -> Tensor:
    if routing.sink is None or not torch.is_grad_enabled():
        output: Tensor = type(module).forward(module, x)
        return output
    return forward_recorded(module, x, routing.batch(unit), batch_dim, unit, routing.sink)
