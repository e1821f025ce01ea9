"""Projections of the encoder's output, run once a source where rows share theirs."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor, nn

from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.wrapping import Forward, Wrapper, wrap

__all__ = ["ReadsSource", "read_source_once"]


class ReadsSource(Wrapper):
    """Runs a projection once a source and repeats its output for the rows.

    Args:
        routing: of the model.
        batch_dim: where the sources are in the input, the rows in the output.
    """

    level = 0

    def __init__(self, routing: Routing, batch_dim: int) -> None:
        self.routing, self.batch_dim = routing, batch_dim

    def around(self, module: nn.Module, forward: Forward) -> Forward:
        """Return a forward from `[time, sources, features]` to `[time, rows, features]`."""
        return functools.partial(_forward_source, forward, self.routing, self.batch_dim)


def read_source_once(module: nn.Module, routing: Routing, batch_dim: int = 1) -> None:
    """Have a projection of the encoder's output run once a source instead of once a row.

    Args:
        module: a Linear whose input is the encoder's output.
        routing: of the model.
        batch_dim: where the sources are in its input.
    """
    wrap(module, ReadsSource(routing, batch_dim))


def _forward_source(forward: Forward, routing: Routing, batch_dim: int, x: Tensor) -> Any:
    output = forward(x)
    batch = routing.current
    if batch is None or batch.source_of is None:
        return output
    return output.index_select(batch_dim, batch.source_of)
