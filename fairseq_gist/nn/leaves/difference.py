"""Low-rank differences to projections."""

from __future__ import annotations

from typing import Mapping, Optional

import torch
from torch import Tensor, nn

from fairseq_gist.nn.destination import Destination
from fairseq_gist.nn.leaves.base import Leaf
from fairseq_gist.nn.leaves.linear import project
from fairseq_gist.nn.low_rank import Difference

__all__ = ["LEAF"]


class _DifferenceLeaf(Leaf):
    module = Difference
    weight = "up"

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        inner = project(x, module.down, None, to, source_of, weight_is="down")
        return project(inner, module.up, None, to, weight_is="up")

    def runs_at_once(self, module: nn.Module) -> bool:
        return True

    def forward_all(self, module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        inner = torch.bmm(x, parameters["down"].transpose(1, 2))
        return torch.bmm(inner, parameters["up"].transpose(1, 2))


LEAF = _DifferenceLeaf()
