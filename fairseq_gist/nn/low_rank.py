"""A projection that stays shared, and the low-rank differences that are added to it."""

from __future__ import annotations

import math
import zlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter

__all__ = ["Difference", "WithDifference", "new_difference"]


class Difference(nn.Module):
    """Adds ``up @ down`` to the weight of a projection, without ever making that product.

    Args:
        down: `[rank, inputs]`.
        up: `[outputs, rank]`.
    """

    def __init__(self, down: Parameter, up: Parameter) -> None:
        super().__init__()
        self.down = down
        self.up = up

    def forward(self, x: Tensor) -> Tensor:
        """Return `[..., outputs]` for `[..., inputs]`."""
        return F.linear(F.linear(x, self.down), self.up)

    def extra_repr(self) -> str:
        """Say the widths."""
        rank, inputs = self.down.shape
        return f"inputs={inputs}, outputs={self.up.size(0)}, rank={rank}"


class WithDifference(nn.Module):
    """The sum of a projection and a difference to it.

    Args:
        base: the projection.
        difference: a :class:`Difference`, or one for each group of languages.
    """

    def __init__(self, base: nn.Module, difference: nn.Module) -> None:
        super().__init__()
        self.base = base
        self.difference = difference
        self.training = base.training

    def forward(self, x: Tensor) -> Tensor:
        """Return what the sum of both weights makes of ``x``."""
        output: Tensor = self.base(x) + self.difference(x)
        return output


def new_difference(weight: Tensor, rank: int, path: str) -> Difference:
    """Return the difference of rank ``rank`` that begins as none.

    ``up`` is zero and ``down`` uniform as a new projection's weight. It is drawn from ``path``
    alone, so it is the same in every process and every run, and other random numbers stay.

    Args:
        weight: of the projection, `[outputs, inputs]`: its place and kind of numbers are those of
            the difference.
        rank: see :class:`Difference`.
        path: of the projection in the model.
    """
    outputs, inputs = weight.shape
    generator = torch.Generator().manual_seed(zlib.crc32(path.encode()))
    bound = 1.0 / math.sqrt(inputs)
    if weight.device.type == "meta":
        down = weight.new_empty(rank, inputs)
    else:
        drawn = torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)
        down = drawn.to(device=weight.device, dtype=weight.dtype)
    return Difference(Parameter(down), Parameter(weight.new_zeros(outputs, rank)))
