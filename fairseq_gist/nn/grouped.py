"""A leaf module with one copy for each group of languages."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.host.modules import is_bare
from fairseq_gist.nn import batched
from fairseq_gist.nn.leaves import leaf_of
from fairseq_gist.nn.partition import RowPartition
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import GradientSink, LanguageBatch, Routing
from fairseq_gist.nn.stacks import Stacks

__all__ = ["GroupedModule", "fill_idle_gradients", "put_back"]


class GroupedModule(nn.Module):
    """Runs every row of a batch through the copy that its language's group owns.

    It deliberately has no ``weight`` or ``bias``: code that reads a module's weights directly
    (fairseq's fast attention path) must fail rather than silently use one copy for everyone.

    Args:
        copies: one module a group, in the order of the plan's groups.
        group_of: the group of each language, `[languages]`.
        routing: of the model this module is part of.
        unit: module path of the unit in the sharing plan, under which gradients are recorded.
        path: module path of this module, named in errors.
        batch_dim: where the rows are in the input, such as 1 inside fairseq's layers (time first)
            and 0 for embeddings and output projection.
        reads_source: whether the input is the encoder's output, of which rows may share a row.
        is_common: whether all rows of the input are the same, as relative positions are.
    """

    def __init__(
        self,
        copies: Sequence[nn.Module],
        group_of: Tuple[int, ...],
        routing: Routing,
        unit: str,
        path: str,
        batch_dim: int,
        reads_source: bool = False,
        is_common: bool = False,
    ) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copies)
        self.training = copies[0].training
        self.group_of = group_of
        self.routing = routing
        self.unit = unit
        self.path = path
        self.batch_dim = batch_dim
        self.reads_source = reads_source
        self.is_common = is_common
        self._stacks = Stacks()

    def forward(self, x: Tensor) -> Tensor:
        """Return the module's output for ``x``, one row for every row of the batch, order kept.

        Raises:
            RoutingError: when the rows' languages are unknown or don't fit the rows.
        """
        batch = self.routing.batch(self.path)
        once = self.reads_source and batch.source_of is not None
        rows = len(batch) if once else x.size(self.batch_dim)
        parts = batch.partition(self.group_of, rows, self.path)
        sink = self.routing.sink if torch.is_grad_enabled() else None
        if self.is_common and sink is None:
            return self._forward_common(x, parts)
        if len(parts.groups) == 1 and sink is None and not once:
            only: Tensor = self.copies[parts.groups[0]](x)
            return only
        if sink is None and not once and batched.pays(x, parts):
            at_once = self._forward_at_once(x, parts)
            if at_once is not None:
                return at_once
        if once:
            inputs = [_select(x, self.batch_dim, sources) for sources in parts.sources]
        elif len(parts.groups) == 1:
            inputs = [x]
        else:
            inputs = list(_Take.apply(x, parts, self.batch_dim))
        outputs = [
            self._run(group, own, languages, sink)
            for group, own, languages in zip(parts.groups, inputs, parts.batches)
        ]
        if once and sink is None:
            whole = outputs[0] if len(outputs) == 1 else torch.cat(outputs, self.batch_dim)
            return whole.index_select(self.batch_dim, parts.spread)
        return outputs[0] if len(outputs) == 1 else put_back(parts, self.batch_dim, outputs)

    def _forward_at_once(self, x: Tensor, parts: RowPartition) -> Optional[Tensor]:
        """Run all copies in the same calls; None where that can't be."""
        copies = tuple(self.copies)
        leaf = leaf_of(copies[0])
        if leaf is None or not leaf.runs_at_once(copies[0]) or not all(map(is_bare, copies)):
            return None
        present = [copies[group] for group in parts.groups]
        keep = not (self.training or torch.is_grad_enabled())
        own = batched.take_padded(x, parts, self.batch_dim)
        outputs = leaf.forward_all(copies[0], self._stacks.of(present, keep), own)
        return batched.put_padded(outputs, parts, self.batch_dim, x)

    def train(self, mode: bool = True) -> GroupedModule:
        """Set the mode, and drop what was kept for translating."""
        self._stacks.clear()
        super().train(mode)
        return self

    def _forward_common(self, x: Tensor, parts: RowPartition) -> Tensor:
        """Run each copy on one row, which all its rows are like."""
        one = x.narrow(self.batch_dim, 0, 1)
        outputs = [
            _spread(self.copies[group](one), self.batch_dim, len(rows))
            for group, rows in zip(parts.groups, parts.rows)
        ]
        return outputs[0] if len(outputs) == 1 else put_back(parts, self.batch_dim, outputs)

    def _run(
        self, group: int, x: Tensor, languages: LanguageBatch, sink: Optional[GradientSink]
    ) -> Tensor:
        copy = self.copies[group]
        if sink is None:
            output: Tensor = copy(x)
            return output
        return forward_recorded(
            copy, x, languages, self.batch_dim, self.unit, sink, self.reads_source
        )

    def extra_repr(self) -> str:
        """Say which languages share a copy."""
        groups: List[List[str]] = [[] for _ in self.copies]
        for language, group in zip(self.routing.languages, self.group_of):
            groups[group].append(language)
        return " | ".join(" ".join(group) for group in groups)


def put_back(parts: RowPartition, dim: int, of_groups: Sequence[Tensor]) -> Tensor:
    """Return the rows of all groups, one after the other along ``dim``, in their own order."""
    return _Put.apply(parts, dim, *of_groups)


def _spread(x: Tensor, dim: int, rows: int) -> Tensor:
    """Return ``x``, one row along ``dim``, as that many equal rows."""
    shape = list(x.shape)
    shape[dim] = rows
    return x.expand(shape)


def _select(x: Tensor, dim: int, positions: Tensor) -> Tensor:
    return x if len(positions) == x.size(dim) else x.index_select(dim, positions)


class _Take(torch.autograd.Function):
    """Take each group's rows out of ``x``.

    Every row is in one group, so the gradient is put together by copying; indexing alone would
    have autograd add up one gradient of the size of ``x`` for every group.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, parts: RowPartition, dim: int) -> Tuple[Tensor, ...]:
        ctx.parts, ctx.dim = parts, dim
        x = x.contiguous()  # or every selection would copy all of it first
        return tuple(x.index_select(dim, rows) for rows in parts.rows)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tuple[Optional[Tensor], ...]:
        return torch.cat(grads, ctx.dim).index_select(ctx.dim, ctx.parts.inverse), None, None


class _Put(torch.autograd.Function):
    """Put the groups' rows back in order."""

    @staticmethod
    def forward(ctx: Any, parts: RowPartition, dim: int, *of_groups: Tensor) -> Tensor:
        ctx.parts, ctx.dim = parts, dim
        return torch.cat(of_groups, dim).index_select(dim, parts.inverse)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        grad = grad.contiguous()
        return (None, None, *(grad.index_select(ctx.dim, rows) for rows in ctx.parts.rows))


def fill_idle_gradients(model: nn.Module) -> None:
    """Give copies whose languages were absent from an update a gradient of zero instead of none.

    fairseq's fp16 optimizer and its distributed wrapper do so anyway; without this, whether
    momentum moves an idle copy would depend on precision and on the number of processes.
    """
    for module in model.modules():
        if isinstance(module, GroupedModule):
            for parameter in module.copies.parameters():
                if parameter.grad is None and parameter.requires_grad:
                    parameter.grad = torch.zeros_like(parameter)
