"""Where the parameters that surgery makes come from."""

from __future__ import annotations

from typing import Dict, Set, Tuple

from torch import Tensor
from torch.nn import Parameter

__all__ = ["Lineage"]


class Lineage(Dict[Parameter, Parameter]):
    """For every parameter that surgery made: the one it is a copy of, or a copy of a part of.

    Attributes:
        parts: of the latter, the dimensions and the positions along them that were taken, one
            after the other.
        fresh: parameters that come from none: they begin without a past.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts: Dict[Parameter, Tuple[Tuple[int, Tensor], ...]] = {}
        self.fresh: Set[Parameter] = set()

    def origin(self, parameter: Parameter) -> Parameter:
        """Return what ``parameter`` comes from, itself if it isn't new."""
        return self.get(parameter, parameter)

    def add(self, parameter: Parameter, origin: Parameter) -> None:
        """Note that ``parameter`` is a copy of ``origin``, which may be new itself."""
        if origin in self.fresh:
            self.fresh.add(parameter)
            return
        self[parameter] = self.origin(origin)
        if origin in self.parts:
            self.parts[parameter] = self.parts[origin]

    def add_part(
        self, parameter: Parameter, origin: Parameter, dim: int, positions: Tensor
    ) -> None:
        """Note that ``parameter`` has those entries of ``origin`` along ``dim``."""
        self.add(parameter, origin)
        if parameter not in self.fresh:
            self.parts[parameter] = (*self.parts.get(parameter, ()), (dim, positions))

    def add_fresh(self, parameter: Parameter) -> None:
        """Note that ``parameter`` has no origin."""
        self.fresh.add(parameter)

    def take(self, parameter: Parameter, tensor: Tensor) -> Tensor:
        """Return of a tensor in its origin's shape a copy of what belongs to ``parameter``."""
        if parameter not in self.parts:
            return tensor.clone()
        for dim, positions in self.parts[parameter]:
            tensor = tensor.index_select(dim, positions.to(tensor.device))
        return tensor
