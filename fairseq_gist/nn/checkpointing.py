"""Keeping a row's language known when activation checkpointing runs a layer a second time.

A checkpointed layer is recomputed during the backward pass, when the decoder's forward is long
over. So the batch travels with the layer's arguments and is put in place inside the layer.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

from torch import nn

from fairseq_gist.nn.routing import LanguageBatch, Routing

__all__ = ["checkpoint_routed"]

Forward = Callable[..., Any]


def checkpoint_routed(
    layer: nn.Module, routing: Routing, checkpoint: Callable[[nn.Module], nn.Module]
) -> nn.Module:
    """Apply ``checkpoint``, which replaces ``layer.forward``, and route the recomputation too."""
    layer.forward = functools.partial(_with_batch, layer.forward, routing)
    layer = checkpoint(layer)
    layer.forward = functools.partial(_pass_batch, layer.forward, routing)
    return layer


def _pass_batch(forward: Forward, routing: Routing, *args: Any, **kwargs: Any) -> Any:
    return forward(*args, routed_batch=routing.current, **kwargs)


def _with_batch(
    forward: Forward,
    routing: Routing,
    *args: Any,
    routed_batch: Optional[LanguageBatch],
    **kwargs: Any,
) -> Any:
    with routing.using(routed_batch):
        return forward(*args, **kwargs)
