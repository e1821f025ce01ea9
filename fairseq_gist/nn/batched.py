"""The rows of all groups in one tensor, so that one call does the work of all groups.

On a GPU a call costs more than the work of a small product: what counts there is how many there
are. Groups of different sizes are filled up to the largest one.
"""

from __future__ import annotations

from typing import Optional, Tuple

from torch import Tensor

from fairseq_gist.nn.partition import RowPartition

__all__ = ["pays", "put_padded", "take_gradients", "take_padded"]


def pays(x: Tensor, rows: RowPartition) -> bool:
    """Whether the groups of ``rows`` had better be run at once where ``x`` lies."""
    return x.device.type != "cpu" and len(rows.groups) > 1 and rows.padded is not None


def take_padded(
    x: Tensor, rows: RowPartition, dim: int, source_of: Optional[Tensor] = None
) -> Tensor:
    """Return the rows of every group, `[groups, n, features]`.

    Args:
        x: with its rows along ``dim`` and its features last.
        rows: whose ``padded`` isn't None.
        dim: see ``x``.
        source_of: where ``x`` has one row a source, each row's source, `[rows]`.
    """
    assert rows.padded is not None
    index = rows.padded.index
    if source_of is not None:
        index = source_of.index_select(0, index)
    one_each = x.numel() == x.size(dim) * x.size(-1)  # as in a step of beam search
    found = x.index_select(dim, index) if one_each else x.movedim(dim, 0).index_select(0, index)
    return found.reshape(len(rows.groups), -1, found.size(-1))


def take_gradients(grad: Tensor, rows: RowPartition, dim: int) -> Tensor:
    """Do as :func:`take_padded` does, with zeros in places that no row fills."""
    assert rows.padded is not None
    found = take_padded(grad, rows, dim)
    if rows.padded.filled is not None:
        of_places = found.view(rows.padded.index.numel(), -1)
        of_places.mul_(rows.padded.filled.unsqueeze(1))
    return found


def put_padded(y: Tensor, rows: RowPartition, dim: int, like: Tensor) -> Tensor:
    """Return the rows of ``y``, `[groups, n, features]`, where they were in ``like``.

    Places that no row fills get no gradient, so what is in them counts nowhere.
    """
    assert rows.padded is not None
    padded = rows.padded
    if y.size(1) * len(rows.groups) == padded.index.numel():
        shape = list(like.shape)
        shape[dim], shape[-1] = padded.index.numel(), y.size(-1)
        return y.reshape(shape).index_select(dim, padded.inverse)
    places = y.reshape(padded.index.numel(), *_rest(like, dim), y.size(-1))
    return places.movedim(0, dim).index_select(dim, padded.inverse)


def _rest(x: Tensor, dim: int) -> Tuple[int, ...]:
    """Return the dimensions between the rows and the features."""
    return tuple(size for position, size in enumerate(x.shape[:-1]) if position != dim)
