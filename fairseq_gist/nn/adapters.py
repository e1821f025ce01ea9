"""Adapters: small modules behind a layer, trained while the layer itself stays as it is."""

from __future__ import annotations

import functools
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap

__all__ = ["Adapter", "attach_adapter", "is_in_adapter"]

_NAME = "adapter"


class Adapter(nn.Module):
    """Normalise, project down, ReLU, project up, add to the input.

    After Bapna and Firat, "Simple, Scalable Adaptation for Neural Machine Translation" (EMNLP
    2019), section 3, which Le et al., "Lightweight Adapter Tuning for Multilingual Speech
    Translation" (ACL 2021) took to speech. The projection up starts as zeros, so a fresh adapter
    returns its input.

    Args:
        width: channels of the layer's output.
        bottleneck: channels in between.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the adapted ``x``, `[time, rows, channels]`."""
        return x + self.up(F.relu(self.down(self.layer_norm(x))))


def attach_adapter(layer: nn.Module, width: int, bottleneck: int) -> None:
    """Have ``layer`` run its output, or the first of several, through ``layer.adapter``.

    It becomes part of the layer's ``forward``: hooks of the layer, and activation checkpointing
    that is put round it later, have it inside. Names of what the layer has stay the same.
    """
    layer.add_module(_NAME, Adapter(width, bottleneck))
    wrap(layer, _Adapted())


def is_in_adapter(path: str) -> bool:
    """Return whether a module or parameter of this path is part of an adapter."""
    return _NAME in path.split(".")


class _Adapted(Wrapper):
    """Runs a layer's output through its adapter."""

    level = 0

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        return functools.partial(_forward_adapted, module, forward)


def _forward_adapted(layer: nn.Module, forward: Forward, *args: Any, **kwargs: Any) -> Any:
    output = forward(*args, **kwargs)
    if isinstance(output, tuple):
        return (layer.adapter(output[0]), *output[1:])
    return layer.adapter(output)
