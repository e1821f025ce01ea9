"""Language embeddings."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination, sum_rows
from fairseq_gist.nn.language_embedding import LanguageEmbedding
from fairseq_gist.nn.leaves.base import Leaf

__all__ = ["LEAF"]


class _LanguageEmbeddingLeaf(Leaf):
    module = LanguageEmbedding

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        return _Addition.apply(x, module.weight, to)

    def runs_at_once(self, module: nn.Module) -> bool:
        return True

    def forward_all(self, module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return x + parameters["weight"].unsqueeze(1)


class _Addition(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(ctx: Any, x: Tensor, weight: Tensor, to: Destination) -> Tensor:
        ctx.to = to
        return x + weight

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        wanted = {"weight": sum_rows} if ctx.needs_input_grad[1] else {}
        totals = ctx.to.add_up(wanted, grad, grad, flat=True)
        return grad, totals.get("weight"), None


LEAF = _LanguageEmbeddingLeaf()
