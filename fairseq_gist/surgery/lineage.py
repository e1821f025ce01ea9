"""Where the parameters that surgery makes come from."""

from __future__ import annotations

from typing import Dict, Tuple

from torch import Tensor
from torch.nn import Parameter

__all__ = ["Lineage"]


class Lineage(Dict[Parameter, Parameter]):
    """For every parameter that surgery made: the one it is a copy of, or a copy of a part of.

    Attributes:
        parts: of the latter, the dimension and the positions along it that were taken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: Dict[Parameter, Tuple[int, Tensor]] = {}

    def origin(self, parameter: Parameter) -> Parameter:
        """Return what ``parameter`` comes from, itself if it isn't new."""
        return self.get(parameter, parameter)

    def add(self, parameter: Parameter, origin: Parameter) -> None:
        """Note that ``parameter`` is a copy of ``origin``, which may be new itself."""
        self[parameter] = self.origin(origin)
        if origin in self.parts:
            self.parts[parameter] = self.parts[origin]

    def add_part(
        self, parameter: Parameter, origin: Parameter, dim: int, positions: Tensor
    ) -> None:
        """Note that ``parameter`` has those entries of ``origin`` along ``dim``."""
        self[parameter] = origin
        self.parts[parameter] = (dim, positions)

    def take(self, parameter: Parameter, tensor: Tensor) -> Tensor:
        """Return of a tensor in its origin's shape a copy of what belongs to ``parameter``."""
        if parameter not in self.parts:
            return tensor.clone()
        dim, positions = self.parts[parameter]
        return tensor.index_select(dim, positions.to(tensor.device))
