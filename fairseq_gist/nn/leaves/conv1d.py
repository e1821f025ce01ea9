"""Convolutions over time, whose input has its rows first: `[rows, channels, time]`."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination
from fairseq_gist.nn.leaves.base import Leaf

__all__ = ["LEAF"]


class _Conv1dLeaf(Leaf):
    module = nn.Conv1d

    def is_plain(self, module: nn.Module) -> bool:
        return bool(module.padding_mode == "zeros")

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        """Run a convolution; raises SurgeryError for a padding that is a word, such as "same"."""
        if isinstance(module.padding, str):
            raise SurgeryError(
                f"{to.unit}: gradients per language are known for a padding in numbers, not for "
                f"'{module.padding}'"
            )
        geometry = (module.stride, module.padding, module.dilation, module.groups)
        return _Convolution.apply(x, module.weight, module.bias, geometry, to)


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


LEAF = _Conv1dLeaf()
