"""Small parts that the models of transformers need in another form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["drops_layer", "mask_of", "plain_embedding"]


def plain_embedding(embedding: Any) -> nn.Embedding:
    """Return an embedding of transformers as torch's, with the same weight."""
    symbols, channels = embedding.weight.shape
    plain: nn.Embedding = torch.nn.utils.skip_init(
        nn.Embedding, symbols, channels, padding_idx=embedding.padding_idx, device="meta"
    )
    plain.weight = embedding.weight
    return plain


def mask_of(lengths: Tensor, frames: int) -> Tensor:
    """Return 1 where a row is no padding, `[rows, frames]`."""
    positions = torch.arange(frames, device=lengths.device)
    return (positions < lengths.unsqueeze(1)).long()


def drops_layer(probability: float) -> bool:
    """Draw whether a layer is left out, as transformers does in training."""
    return probability > 0 and bool(torch.rand([]) < probability)
