"""A batch norm with one weight and bias for each group of languages."""

from __future__ import annotations

from typing import Sequence

import torch
from torch import Tensor

from fairseq_gist.nn.grouped import GroupedModule, put_back
from fairseq_gist.nn.per_language import forward_recorded

__all__ = ["GroupedBatchNorm"]


class GroupedBatchNorm(GroupedModule):
    """Normalises all rows together, then weighs each by its group's copy.

    Were every copy to see the rows of its group alone, a split would change the function in
    training at once, as statistics of fewer rows are others, and the fewer, the noisier. So groups
    own weight and bias, while mean and variance stay those of all rows: every copy has the same
    running statistics, at any time, whichever languages a batch has.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised ``x``, `[rows, channels, time]`.

        Raises:
            RoutingError: when the rows' languages are unknown or don't fit the rows.
        """
        batch = self.routing.batch(self.path)
        parts = batch.partition(self.group_of, x.size(self.batch_dim), self.path)
        sink = self.routing.sink if torch.is_grad_enabled() else None
        outputs = []
        for group, rows in zip(parts.groups, parts.rows):
            copy = self.copies[group]
            if sink is None:
                of_all = copy(x)
            else:
                of_all = forward_recorded(copy, x, batch, self.batch_dim, self.unit, sink)
            alone = len(parts.groups) == 1
            outputs.append(of_all if alone else of_all.index_select(self.batch_dim, rows))
        if self.training:
            self._tell_absent(parts.groups)
        return outputs[0] if len(outputs) == 1 else put_back(parts, self.batch_dim, outputs)

    def _tell_absent(self, present: Sequence[int]) -> None:
        """Give copies that no row needed the running statistics of those that saw the batch."""
        statistics = dict(self.copies[present[0]].named_buffers())
        for group, copy in enumerate(self.copies):
            if group not in present:
                for name, buffer in copy.named_buffers():
                    # past autograd, which keeps them for a backward that doesn't read them
                    buffer.data.copy_(statistics[name])
