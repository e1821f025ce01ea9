"""Norms over the rows of a batch, with one weight and bias for each group of languages."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.autocast import custom_bwd, custom_fwd
from fairseq_gist.nn.destination import Destination
from fairseq_gist.nn.grouped import GroupedModule, put_back
from fairseq_gist.nn.leaves.base import Leaf
from fairseq_gist.nn.per_language import forward_recorded

__all__ = ["LEAF", "GroupedBatchNorm"]


class GroupedBatchNorm(GroupedModule):
    """Normalises all rows together, then weighs each by its group's copy.

    Were every copy to see the rows of its group alone, a split would change the function in
    training at once, as statistics of fewer rows are others, and the fewer, the noisier. So groups
    own weight and bias, while mean and variance stay those of all rows: every copy has the same
    running statistics, at any time, whichever languages a batch has.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, `[rows, channels, time]`.

        Raises:
            RoutingError: when the rows' languages are unknown or don't fit the rows.
        """
        batch = self.routing.batch(self.path)
        parts = batch.partition(self.group_of, x.size(self.batch_dim), self.path)
        sink = self.routing.sink if torch.is_grad_enabled() else None
        outputs = []
        for group, rows in zip(parts.groups, parts.rows):
            copy = self.copies[group]
            if sink is None:
                of_all = copy(x)
            else:
                of_all = forward_recorded(copy, x, batch, self.batch_dim, self.unit, sink)
            alone = len(parts.groups) == 1
            outputs.append(of_all if alone else of_all.index_select(self.batch_dim, rows))
        if self.training:
            self._tell_absent(parts.groups)
        return outputs[0] if len(outputs) == 1 else put_back(parts, self.batch_dim, outputs)

    def _tell_absent(self, present: Sequence[int]) -> None:
        """Give copies that no row needed the running statistics of those that saw the batch."""
        statistics = dict(self.copies[present[0]].named_buffers())
        for group, copy in enumerate(self.copies):
            if group not in present:
                for name, buffer in copy.named_buffers():
                    # past autograd, which keeps them for a backward that doesn't read them
                    buffer.data.copy_(statistics[name])


class _BatchNorm1dLeaf(Leaf):
    module = nn.BatchNorm1d
    grouped = GroupedBatchNorm

    def is_plain(self, module: nn.Module) -> bool:
        return bool(module.track_running_stats)

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        """Run a norm; in training, running statistics move as they do in its own forward.

        Raises:
            SurgeryError: where these are a plain mean over all batches (no momentum).
        """
        if module.momentum is None:
            raise SurgeryError(
                f"{to.unit}: gradients per language need a batch norm with a momentum"
            )
        if module.training:
            module.num_batches_tracked.add_(1)
        own = (
            module.running_mean,
            module.running_var,
            module.training,
            module.momentum,
            module.eps,
        )
        return _BatchNorm.apply(x, module.weight, module.bias, own, to)


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


LEAF = _BatchNorm1dLeaf()
