"""Where the gradients of a module go, language by language."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Sequence

from torch import Tensor

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.partition import RowPartition
from fairseq_gist.nn.routing import GradientSink

__all__ = ["Destination", "sum_rows"]


class Destination:
    """Where a module's gradients go, and which rows are whose."""

    def __init__(self, sink: GradientSink, unit: str, rows: RowPartition, batch_dim: int) -> None:
        self.sink, self.unit, self.rows, self.batch_dim = sink, unit, rows, batch_dim

    def add_up(
        self,
        gradients_of: Mapping[str, Callable[..., Tensor]],
        grad: Tensor,
        x: Tensor,
        x_rows: Sequence[Tensor] = (),
    ) -> Dict[str, Tensor]:
        """Sum ``gradient_of(grad, x)`` over the languages, handing on every language's part.

        Args:
            gradients_of: for each parameter a function of one language's rows of both.
            grad: gradient of the module's output.
            x: what it came from.
            x_rows: each language's rows in ``x``, where they aren't those in ``grad``.
        """
        totals: Dict[str, Tensor] = {}
        if not gradients_of:
            return totals
        # or every selection of rows would copy all of them first
        grad, x = grad.contiguous(), x.contiguous()
        alone = len(self.rows.groups) == 1
        for position, (language, index) in enumerate(zip(self.rows.groups, self.rows.rows)):
            own = grad if alone else grad.index_select(self.batch_dim, index)
            if x_rows:
                own_x = x.index_select(self.batch_dim, x_rows[position])
            else:
                own_x = x if alone else x.index_select(self.batch_dim, index)
            for part, gradient_of in gradients_of.items():
                gradient = gradient_of(own, own_x)
                self.sink.add(self.unit, part, language, gradient)
                totals[part] = totals[part].add_(gradient) if part in totals else gradient
        if not totals:
            raise SurgeryError(f"{self.unit}: a batch without rows has no gradient")
        return totals


def sum_rows(grad: Tensor, _: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the gradient of what is added to every row, of that shape."""
    return grad.reshape(-1, *shape).sum(0)
