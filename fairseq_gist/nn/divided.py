"""The two projections of a feed-forward block whose neurons are divided into two parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DividedInput", "DividedOutput"]


class DividedOutput(nn.Module):
    """Makes the neurons: first those that all share, then the others.

    Args:
        shared: projection to the former, `[features -> shared]`.
        own: projection to the latter, `[features -> own]`.
    """

    def __init__(self, shared: nn.Module, own: nn.Module) -> None:
        super().__init__()
        self.shared = shared
        self.own = own

    def forward(self, x: Tensor) -> Tensor:
        """Return `[..., shared + own]` for `[..., features]`."""
        return torch.cat([self.shared(x), self.own(x)], dim=-1)


class DividedInput(nn.Module):
    """Reads the neurons that :class:`DividedOutput` made, activated, and adds up both parts.

    Args:
        shared: projection of those that all share, with the bias, `[shared -> features]`.
        own: projection of the others, `[own -> features]`.
        shared_width: how many of the former there are.
    """

    def __init__(self, shared: nn.Module, own: nn.Module, shared_width: int) -> None:
        super().__init__()
        self.shared = shared
        self.own = own
        self.shared_width = shared_width

    def forward(self, neurons: Tensor) -> Tensor:
        """Return `[..., features]` for `[..., shared + own]`."""
        shared = neurons[..., : self.shared_width]
        own = neurons[..., self.shared_width :]
        output: Tensor = self.shared(shared) + self.own(own)
        return output
