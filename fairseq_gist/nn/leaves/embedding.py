"""Embeddings of tokens."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination
from fairseq_gist.nn.leaves.base import Leaf

__all__ = ["LEAF"]


class _EmbeddingLeaf(Leaf):
    module = nn.Embedding

    def is_plain(self, module: nn.Module) -> bool:
        return not (module.sparse or module.scale_grad_by_freq or module.max_norm)

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        return _Embedding.apply(x, module.weight, module.padding_idx, to)


class _Embedding(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(
        ctx: Any, tokens: Tensor, weight: Tensor, padding_idx: Optional[int], to: Destination
    ) -> Tensor:
        ctx.save_for_backward(tokens)
        ctx.symbols, ctx.padding_idx, ctx.to = weight.size(0), padding_idx, to
        return F.embedding(tokens, weight, padding_idx)

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        (tokens,) = ctx.saved_tensors

        def scatter(rows: Tensor, of: Tensor) -> Tensor:
            gradient = rows.new_zeros(ctx.symbols, rows.size(-1))
            gradient.index_add_(0, of.reshape(-1), rows.reshape(-1, rows.size(-1)))
            if ctx.padding_idx is not None:
                gradient[ctx.padding_idx] = 0
            return gradient

        return None, ctx.to.add_up({"weight": scatter}, grad, tokens)["weight"], None, None


LEAF = _EmbeddingLeaf()
