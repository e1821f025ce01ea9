"""Gradients per language of convolutions over time and of the batch norm between them.

Both have their rows first: `[rows, channels, time]`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.destination import Destination, custom_bwd, custom_fwd

__all__ = ["forward_batch_norm", "forward_convolution"]


def forward_convolution(module: nn.Conv1d, x: Tensor, to: Destination) -> Tensor:
    """Run ``module`` on ``x`` so that its backward hands each language's gradient on.

    Raises:
        SurgeryError: for a padding that is a word, such as "same".
    """
    if isinstance(module.padding, str):
        raise SurgeryError(
            f"{to.unit}: gradients per language are known for a padding in numbers, not for "
            f"'{module.padding}'"
        )
    geometry = (module.stride, module.padding, module.dilation, module.groups)
    return _Convolution.apply(x, module.weight, module.bias, geometry, to)


def forward_batch_norm(module: nn.BatchNorm1d, x: Tensor, to: Destination) -> Tensor:
    """Run ``module`` on ``x`` so that its backward hands each language's gradient on.

    In training, running statistics move as they do in the module's own forward.

    Raises:
        SurgeryError: where these are a plain mean over all batches (no momentum).
    """
    if module.momentum is None:
        raise SurgeryError(f"{to.unit}: gradients per language need a batch norm with a momentum")
    if module.training:
        module.num_batches_tracked.add_(1)
    own = (module.running_mean, module.running_var, module.training, module.momentum, module.eps)
    return _BatchNorm.apply(x, module.weight, module.bias, own, to)


class _Convolution(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        geometry: Tuple[Any, Any, Any, int],
        to: Destination,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.geometry, ctx.to = bias is not None, geometry, to
        return F.conv1d(x, weight, bias, *geometry)

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight = (tensor.to(grad.dtype) for tensor in ctx.saved_tensors)
        stride, padding, dilation, groups = ctx.geometry

        def backward_of(own: Tensor, own_x: Tensor, *wanted: bool) -> Any:
            return torch.ops.aten.convolution_backward(
                own, own_x, weight, None, stride, padding, dilation, False, [0], groups, wanted
            )

        parts: Dict[str, Callable[..., Tensor]] = {}
        if ctx.needs_input_grad[1]:
            parts["weight"] = lambda own, own_x: backward_of(own, own_x, False, True, False)[1]
        if ctx.has_bias and ctx.needs_input_grad[2]:
            parts["bias"] = lambda own, own_x: own.sum((0, 2))
        totals = ctx.to.add_up(parts, grad, x)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = backward_of(grad.contiguous(), x, True, False, False)[0]
        return grad_x, totals.get("weight"), totals.get("bias"), None, None


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    @custom_fwd
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        own: Tuple[Tensor, Tensor, bool, float, float],
        to: Destination,
    ) -> Tensor:
        running_mean, running_var, training, momentum, eps = own
        y: Tensor
        y, mean, rstd = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, training, momentum, eps
        )
        if not training:  # torch gives back none
            mean, rstd = running_mean.clone(), (running_var + eps).rsqrt()
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.statistics, ctx.training, ctx.eps, ctx.to = own[:2], training, eps, to
        return y

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight, mean, rstd = ctx.saved_tensors
        grad = grad.contiguous()
        grad_x = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, *ctx.statistics, mean, rstd, ctx.training, ctx.eps,
            [True, False, False],
        )[0]  # fmt: skip
        parts: Dict[str, Callable[..., Tensor]] = {}
        if ctx.needs_input_grad[1]:
            parts["weight"] = lambda own, normalised: (own * normalised).sum((0, 2))
        if ctx.needs_input_grad[2]:
            parts["bias"] = lambda own, normalised: own.sum((0, 2))
        normalised = (x - mean[:, None]) * rstd[:, None]
        totals = ctx.to.add_up(parts, grad, normalised)
        return grad_x, totals.get("weight"), totals.get("bias"), None, None
