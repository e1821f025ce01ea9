"""Norms over the channels of a row."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination, sum_rows
from fairseq_gist.nn.leaves.base import Leaf

__all__ = ["LEAF"]


class _LayerNormLeaf(Leaf):
    module = nn.LayerNorm

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        return _LayerNorm.apply(
            x, module.weight, module.bias, module.normalized_shape, module.eps, to
        )

    def runs_at_once(self, module: nn.Module) -> bool:
        has_both = module.weight is not None and module.bias is not None
        return has_both and len(module.normalized_shape) == 1

    def forward_all(self, module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weight, bias = parameters["weight"], parameters["bias"]
        normalised = F.layer_norm(x, module.normalized_shape, None, None, module.eps)
        return torch.addcmul(bias.unsqueeze(1), normalised, weight.unsqueeze(1))


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        shape: Tuple[int, ...],
        eps: float,
        to: Destination,
    ) -> Tensor:
        y: Tensor
        y, mean, rstd = torch.native_layer_norm(x, shape, weight, bias, eps)
        # autocast on a GPU runs it, and so its backward, in more bits than the input has
        ctx.save_for_backward(x.to(y.dtype), weight, bias, mean, rstd)
        ctx.shape, ctx.to = shape, to
        return y

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        grad_x = torch.ops.aten.native_layer_norm_backward(
            grad.contiguous(), x, ctx.shape, mean, rstd, weight, bias, [True, False, False]
        )[0]
        wanted: Dict[str, Callable[..., Tensor]] = {}
        if ctx.needs_input_grad[1]:
            wanted["weight"] = functools.partial(_sum_products, shape=ctx.shape)
        if ctx.needs_input_grad[2]:
            wanted["bias"] = functools.partial(_sum_rows, shape=ctx.shape)
        first = -len(ctx.shape)
        normalised = ((x - mean) * rstd).flatten(first)
        totals = ctx.to.add_up(wanted, grad.flatten(first), normalised, flat=True)
        return grad_x, totals.get("weight"), totals.get("bias"), None, None, None


def _sum_products(grad: Tensor, normalised: Tensor, shape: Tuple[int, ...]) -> Tensor:
    return _sum_rows(grad * normalised, normalised, shape)


def _sum_rows(grad: Tensor, normalised: Tensor, shape: Tuple[int, ...]) -> Tensor:
    sums = sum_rows(grad, normalised)
    return sums.view(*sums.shape[:-1], *shape)


LEAF = _LayerNormLeaf()
