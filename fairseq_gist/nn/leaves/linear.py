"""Projections."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination, sum_rows
from fairseq_gist.nn.leaves.base import Leaf
from fairseq_gist.sharing.low_rank import Projection

__all__ = ["LEAF", "project"]


class _LinearLeaf(Leaf):
    module = nn.Linear

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        return project(x, module.weight, module.bias, to, source_of)

    def runs_at_once(self, module: nn.Module) -> bool:
        return True

    def forward_all(self, module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        weight = parameters["weight"].transpose(1, 2)
        bias = parameters.get("bias")
        return x.bmm(weight) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight)

    def projection(self, module: nn.Module) -> Optional[Projection]:
        return Projection(int(module.in_features), int(module.out_features))

    def neurons_made(self, module: nn.Module) -> Optional[int]:
        return int(module.out_features)

    def neurons_read(self, module: nn.Module) -> Optional[int]:
        return int(module.in_features)

    def part(self, module: nn.Module, parameters: Mapping[str, Parameter]) -> nn.Module:
        features_out, features_in = parameters["weight"].shape
        linear: nn.Linear = torch.nn.utils.skip_init(
            nn.Linear, features_in, features_out, bias="bias" in parameters
        )
        for name, parameter in parameters.items():
            setattr(linear, name, parameter)
        return linear


def project(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    to: Destination,
    source_of: Optional[Tensor] = None,
    weight_is: str = "weight",
) -> Tensor:
    """Return ``x`` projected so that the backward hands each language's gradient on.

    Args:
        x: `[..., inputs]`, with its rows along ``to.batch_dim``.
        weight: `[outputs, inputs]`.
        bias: `[outputs]`.
        to: where the gradients go.
        source_of: see :meth:`~fairseq_gist.nn.leaves.base.Leaf.forward`.
        weight_is: the parameter of the unit that ``weight`` is.
    """
    projected: Tensor = _Linear.apply(x, weight, bias, source_of, to, weight_is)
    return projected


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
        weight_is: str,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, source_of)
        ctx.has_bias, ctx.to, ctx.weight_is = bias is not None, to, weight_is
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
            # autocast may have run the forward in fewer bits than the weight has
            grad_x = of_source.matmul(weight.to(grad.dtype))
        wanted: Dict[str, Callable[..., Tensor]] = {}
        if ctx.needs_input_grad[1]:
            wanted[ctx.weight_is] = _outer
        if ctx.has_bias and ctx.needs_input_grad[2]:
            wanted["bias"] = sum_rows
        totals = to.add_up(wanted, grad, x.to(grad.dtype), source_of=source_of, flat=True)
        return grad_x, totals.get(ctx.weight_is), totals.get("bias"), None, None, None


def _outer(grad: Tensor, x: Tensor) -> Tensor:
    return grad.transpose(-2, -1).matmul(x)


LEAF = _LinearLeaf()
