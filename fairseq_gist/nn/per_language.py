"""Gradients per language from one ordinary backward pass over a mixed batch.

The weight gradient of a module is a sum over the rows of the batch. Each function here computes
that sum language by language, hands every part to the sink, and returns the total: the work is
that of the ordinary backward, done in pieces.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.convolution import forward_batch_norm, forward_convolution
from fairseq_gist.nn.destination import Destination, custom_bwd, custom_fwd
from fairseq_gist.nn.routing import GradientSink, LanguageBatch

__all__ = ["RECORDABLE", "forward_recorded"]

RECORDABLE = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.Conv1d, nn.BatchNorm1d)


def forward_recorded(
    module: nn.Module,
    x: Tensor,
    batch: LanguageBatch,
    batch_dim: int,
    unit: str,
    sink: GradientSink,
    reads_source: bool = False,
) -> Tensor:
    """Run ``module`` on ``x`` so that its backward hands each language's gradient to ``sink``.

    Args:
        module: one of :data:`RECORDABLE`.
        x: input with its rows along ``batch_dim``.
        batch: the languages of the rows.
        batch_dim: see ``x``.
        unit: the name under which the gradients are handed on.
        sink: takes them.
        reads_source: whether the input is the encoder's output, which has one row a source where
            rows of the batch share theirs (``batch.source_of``); the output has one a row.
    """
    source_of = batch.source_of if reads_source else None
    once = source_of is not None
    rows = batch.by_language(len(batch) if once else x.size(batch_dim), unit)
    to = Destination(sink, unit, rows, batch_dim)
    if isinstance(module, nn.Linear):
        return _Linear.apply(x, module.weight, module.bias, source_of, to)
    if isinstance(module, nn.LayerNorm):
        return _LayerNorm.apply(
            x, module.weight, module.bias, module.normalized_shape, module.eps, to
        )
    if isinstance(module, nn.Embedding) and not (
        module.sparse or module.scale_grad_by_freq or module.max_norm
    ):
        return _Embedding.apply(x, module.weight, module.padding_idx, to)
    if isinstance(module, nn.Conv1d) and module.padding_mode == "zeros":
        return forward_convolution(module, x, to)
    if isinstance(module, nn.BatchNorm1d) and module.track_running_stats:
        return forward_batch_norm(module, x, to)
    raise SurgeryError(
        f"{unit}: gradients per language are known for plain "
        f"{', '.join(kind.__name__ for kind in RECORDABLE)}, not for {module}"
    )


class _Linear(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        source_of: Optional[Tensor],
        to: Destination,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, source_of)
        ctx.has_bias, ctx.to = bias is not None, to
        y = F.linear(x, weight, bias)
        if source_of is not None:
            return y.index_select(to.batch_dim, source_of)
        # fairseq scales queries in place, which autograd allows unless they are a view
        return y.clone() if y._is_view() else y  # noqa: SLF001

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight, source_of = ctx.saved_tensors
        to: Destination = ctx.to
        grad_x = None
        if ctx.needs_input_grad[0]:
            of_source = grad
            if source_of is not None:
                shape = [*x.shape[:-1], grad.size(-1)]
                of_source = grad.new_zeros(shape).index_add_(to.batch_dim, source_of, grad)
            grad_x = of_source.matmul(weight)
        wanted: Dict[str, Callable[..., Tensor]] = {}
        if ctx.needs_input_grad[1]:
            wanted["weight"] = _outer
        if ctx.has_bias and ctx.needs_input_grad[2]:
            wanted["bias"] = functools.partial(_sum_rows, shape=grad.shape[-1:])
        x_rows = () if source_of is None else to.rows.source_rows
        totals = to.add_up(wanted, grad, x.to(grad.dtype), x_rows)
        return grad_x, totals.get("weight"), totals.get("bias"), None, None


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
        ctx.save_for_backward(x, weight, bias, mean, rstd)
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
        totals = ctx.to.add_up(wanted, grad, (x - mean) * rstd)
        return grad_x, totals.get("weight"), totals.get("bias"), None, None, None


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


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    return grad.reshape(-1, grad.size(-1)).t().matmul(x.reshape(-1, x.size(-1)))


def _sum_rows(grad: Tensor, _: Tensor, shape: Tuple[int, ...]) -> Tensor:
    return grad.reshape(-1, *shape).sum(0)


def _sum_products(grad: Tensor, normalised: Tensor, shape: Tuple[int, ...]) -> Tensor:
    return (grad * normalised).reshape(-1, *shape).sum(0)
