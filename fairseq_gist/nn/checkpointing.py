"""Keeping a row's language known when activation checkpointing runs a layer a second time.

A checkpointed layer is recomputed during the backward pass, when the decoder's forward is long
over. So the batch travels with the layer's arguments and is put in place inside the layer.

A layer is recomputed only where the gradient of an input is asked for. Where what comes before is
frozen none is, and the layer's own parameters would silently get no gradient either.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Callable, Optional

import torch
from torch import nn

from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap

__all__ = ["checkpoint_routed"]


def checkpoint_routed(
    layer: nn.Module, routing: Routing, checkpoint: Callable[[Any], Any]
) -> nn.Module:
    """Put ``checkpoint`` round all else that is round ``layer``, and route the recomputation too.

    Args:
        layer: to be recomputed.
        routing: of the model.
        checkpoint: replaces the ``forward`` of what it is given.

    Returns:
        The layer.
    """
    wrap(layer, _Checkpointed(routing, checkpoint))
    return layer


class _Checkpointed(Wrapper):
    level = 2

    def __init__(self, routing: Routing, checkpoint: Callable[[Any], Any]) -> None:
        self.routing, self.checkpoint = routing, checkpoint

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        inner = types.SimpleNamespace(forward=functools.partial(_with_batch, forward, self.routing))
        self.checkpoint(inner)
        return functools.partial(_pass_batch, module, forward, inner.forward, self.routing)


def _pass_batch(
    layer: nn.Module,
    plain: Forward,
    forward: Forward,
    routing: Routing,
    x: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    asked_for = any(
        getattr(value, "requires_grad", False) for value in (x, *args, *kwargs.values())
    )
    if torch.is_grad_enabled() and not asked_for:
        if not any(parameter.requires_grad for parameter in layer.parameters()):
            return plain(x, *args, **kwargs)
        x = x.detach().requires_grad_()
    return forward(x, *args, routed_batch=routing.current, **kwargs)


def _with_batch(
    forward: Forward,
    routing: Routing,
    *args: Any,
    routed_batch: Optional[LanguageBatch],
    **kwargs: Any,
) -> Any:
    with routing.using(routed_batch):
        return forward(*args, **kwargs)
