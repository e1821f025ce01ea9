"""Numbers of rows that are known on the CPU, however far away their tensor is.

Which language a row has decides on the CPU what is run for it. Where the tensor lies on a GPU,
reading it there waits until everything before it is done. So a tensor can remember the numbers that
it was made of: the very tensor, as long as nobody changes it. What is made from it knows nothing.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

import torch
from torch import Tensor

__all__ = ["Parcel", "index_on", "known_values", "remember", "reordered", "values_of"]

_MEMORY = "gist_values"


def remember(tensor: Tensor, values: Sequence[int]) -> Tensor:
    """Have ``tensor`` remember ``values``, one a row; return it."""
    setattr(tensor, _MEMORY, (list(values), tensor._version))  # noqa: SLF001
    return tensor


def known_values(tensor: Tensor) -> Optional[List[int]]:
    """Return what ``tensor`` remembers, None where it doesn't or was changed since."""
    values, version = getattr(tensor, _MEMORY, (None, None))
    return values if version == tensor._version else None  # noqa: SLF001


def values_of(tensor: Tensor) -> List[int]:
    """Return the numbers in ``tensor``, `[rows]`, read only where it doesn't know them."""
    values = known_values(tensor)
    return tensor.tolist() if values is None else values


def reordered(tensor: Tensor, order: Tensor) -> Tensor:
    """Return the rows ``order`` of ``tensor``, which know their numbers as far as can be told.

    Numbers that are all the same, as in a batch of one language, stay so in any order.
    """
    result = tensor.index_select(0, order)
    values = known_values(tensor)
    if values is None:
        return result
    positions = order.tolist() if order.device.type == "cpu" else known_values(order)
    if positions is not None:
        return remember(result, [values[position] for position in positions])
    if len(set(values)) == 1:
        return remember(result, values[:1] * len(result))
    return result


def index_on(device: torch.device, positions: Sequence[int]) -> Tensor:
    """Return positions as a tensor on ``device`` that remembers them."""
    return remember(_sent(list(positions), device), positions)


class Parcel:
    """Lists of positions that go to a device in one copy."""

    def __init__(self) -> None:
        self._positions: List[int] = []
        self._lengths: List[int] = []

    def add(self, positions: Sequence[int]) -> int:
        """Put positions in, and return which of the tensors they will be."""
        self._positions += positions
        self._lengths.append(len(positions))
        return len(self._lengths) - 1

    def send(self, device: torch.device) -> List[Tensor]:
        """Return a tensor on ``device`` for each list."""
        return list(_sent(self._positions, device).split(self._lengths))


def _sent(positions: List[int], device: torch.device) -> Tensor:
    return torch.tensor(positions, dtype=torch.long).to(device, non_blocking=True)
