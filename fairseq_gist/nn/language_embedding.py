"""Language embeddings: a vector for each language, added to what the first layer reads."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap

__all__ = ["LanguageEmbedding", "attach_language_embedding", "is_language_embedding"]

_NAME = "language_embedding"


class LanguageEmbedding(nn.Module):
    """Adds one vector, which begins as zeros, to every position.

    Args:
        width: features of the input.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x + weight`` for `[..., features]`."""
        return x + self.weight


def attach_language_embedding(layer: nn.Module, width: int) -> None:
    """Have ``layer`` add ``layer.language_embedding`` to the first of its inputs."""
    layer.add_module(_NAME, LanguageEmbedding(width))
    wrap(layer, _Embedded())


def is_language_embedding(path: str) -> bool:
    """Return whether a module or parameter of this path is part of a language embedding."""
    return _NAME in path.split(".")


class _Embedded(Wrapper):
    """Adds the embedding to what a layer reads."""

    level = 0

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        return functools.partial(_forward_embedded, module, forward)


def _forward_embedded(layer: Any, forward: Forward, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    return forward(layer.language_embedding(x), *args, **kwargs)
