"""The rows of all groups in one tensor, so that one call does the work of all groups.

On a GPU a call costs more than the work of a small product: what counts there is how many there
are. Groups of different sizes are filled up to the largest one.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import Tensor

from fairseq_gist.nn.partition import RowPartition

__all__ = ["pays", "put_padded", "take_padded", "taken"]


def pays(x: Tensor, rows: RowPartition) -> bool:
    """Whether the groups of ``rows`` had better be run at once where ``x`` lies."""
    return x.device.type != "cpu" and len(rows.groups) > 1 and rows.padded is not None


def take_padded(x: Tensor, rows: RowPartition, dim: int) -> Tensor:
    """Return the rows of every group, `[groups, n, features]`.

    Args:
        x: with its rows along ``dim`` and its features last.
        rows: whose ``padded`` isn't None.
        dim: see ``x``.
    """
    return _Take.apply(x, rows, dim)


def put_padded(y: Tensor, rows: RowPartition, dim: int, like: Tensor) -> Tensor:
    """Return the rows of ``y``, `[groups, n, features]`, where they were in ``like``."""
    return _Put.apply(y, rows, dim, _rest(like, dim))


def taken(
    x: Tensor, rows: RowPartition, dim: int, is_gradient: bool, source_of: Optional[Tensor] = None
) -> Tensor:
    """Do as :func:`take_padded` does, without autograd.

    Args:
        x: with its rows along ``dim`` and its features last.
        rows: whose ``padded`` isn't None.
        dim: see ``x``.
        is_gradient: whether places that no row fills have to be zero.
        source_of: where ``x`` has one row a source, each row's source, `[rows]`.
    """
    padded = rows.padded
    assert padded is not None
    index = padded.index if source_of is None else source_of.index_select(0, padded.index)
    found = x.movedim(dim, 0).index_select(0, index)
    if is_gradient and padded.filled is not None:
        found.mul_(padded.filled.view(-1, *[1] * (found.dim() - 1)))
    return found.reshape(len(rows.groups), -1, found.size(-1))


def _rest(x: Tensor, dim: int) -> Tuple[int, ...]:
    """Return the dimensions between the rows and the features."""
    return tuple(size for position, size in enumerate(x.shape[:-1]) if position != dim)


def _back(y: Tensor, rows: RowPartition, dim: int, rest: Tuple[int, ...]) -> Tensor:
    padded = rows.padded
    assert padded is not None
    places = y.reshape(padded.index.numel(), *rest, y.size(-1))
    return places.movedim(0, dim).index_select(dim, padded.inverse)


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: RowPartition, dim: int) -> Tensor:
        ctx.rows, ctx.dim, ctx.rest = rows, dim, _rest(x, dim)
        return taken(x, rows, dim, is_gradient=False)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        return _back(grad, ctx.rows, ctx.dim, ctx.rest), None, None


class _Put(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, rows: RowPartition, dim: int, rest: Tuple[int, ...]) -> Tensor:
        ctx.rows, ctx.dim = rows, dim
        return _back(y, rows, dim, rest)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        return taken(grad, ctx.rows, ctx.dim, is_gradient=True), None, None, None
