"""Where the gradients of a module go, language by language."""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional

from torch import Tensor

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn import batched
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
        *,
        source_of: Optional[Tensor] = None,
        flat: bool = False,
    ) -> Dict[str, Tensor]:
        """Sum ``gradient_of(grad, x)`` over the languages, handing on every language's part.

        Args:
            gradients_of: for each parameter a function of one language's rows of both.
            grad: gradient of the module's output.
            x: what it came from.
            source_of: where ``x`` has one row a source, each row's source, `[rows]`.
            flat: whether the functions take both as `[..., n, features]`, with whatever comes first
                in the gradients too; then all languages are done at once where that is faster.
        """
        if not gradients_of:
            return {}
        if flat and batched.pays(grad, self.rows):
            return self._add_at_once(gradients_of, grad, x, source_of)
        totals: Dict[str, Tensor] = {}
        # or every selection of rows would copy all of them first
        grad, x = grad.contiguous(), x.contiguous()
        alone = len(self.rows.groups) == 1
        for position, (language, index) in enumerate(zip(self.rows.groups, self.rows.rows)):
            own = grad if alone else grad.index_select(self.batch_dim, index)
            if source_of is not None:
                own_x = x.index_select(self.batch_dim, self.rows.source_rows[position])
            else:
                own_x = x if alone else x.index_select(self.batch_dim, index)
            if flat:
                own, own_x = (one.reshape(-1, one.size(-1)) for one in (own, own_x))
            for part, gradient_of in gradients_of.items():
                gradient = gradient_of(own, own_x)
                self.sink.add(self.unit, part, [language], gradient.unsqueeze(0))
                totals[part] = totals[part].add_(gradient) if part in totals else gradient
        if not totals:
            raise SurgeryError(f"{self.unit}: a batch without rows has no gradient")
        return totals

    def _add_at_once(
        self,
        gradients_of: Mapping[str, Callable[..., Tensor]],
        grad: Tensor,
        x: Tensor,
        source_of: Optional[Tensor],
    ) -> Dict[str, Tensor]:
        own = batched.take_gradients(grad, self.rows, self.batch_dim)
        own_x = batched.take_padded(x, self.rows, self.batch_dim, source_of)
        totals: Dict[str, Tensor] = {}
        for part, gradient_of in gradients_of.items():
            gradients = gradient_of(own, own_x)
            self.sink.add(self.unit, part, self.rows.groups, gradients)
            totals[part] = gradients.sum(0)
        return totals


def sum_rows(grad: Tensor, _: Tensor) -> Tensor:
    """Return the gradient of what is added to every row, from that of the rows, `[..., n, k]`."""
    return grad.sum(-2)
