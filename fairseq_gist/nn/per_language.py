"""Gradients per language from one ordinary backward pass over a mixed batch.

The weight gradient of a module is a sum over the rows of the batch. Each kind of leaf computes that
sum language by language, hands every part to the sink, and returns the total: the work is
that of the ordinary backward, done in pieces.
"""

from __future__ import annotations

from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.destination import Destination
from fairseq_gist.nn.leaves import leaf_names, leaf_of
from fairseq_gist.nn.routing import GradientSink, LanguageBatch

__all__ = ["forward_recorded"]


def forward_recorded(
    module: nn.Module,
    x: Tensor,
    batch: LanguageBatch,
    batch_dim: int,
    unit: str,
    sink: GradientSink,
    reads_source: bool = False,
) -> Tensor:
    """Run ``module`` on ``x`` so that its backward hands each language's gradient to ``sink``.

    Args:
        module: of one of the kinds in :mod:`fairseq_gist.nn.leaves`.
        x: input with its rows along ``batch_dim``.
        batch: the languages of the rows.
        batch_dim: see ``x``.
        unit: the name under which the gradients are handed on.
        sink: takes them.
        reads_source: whether the input is the encoder's output, which has one row a source where
            rows of the batch share theirs (``batch.source_of``); the output has one a row.

    Raises:
        SurgeryError: for a module whose gradients aren't known.
    """
    leaf = leaf_of(module)
    if leaf is None or not leaf.is_plain(module):
        raise SurgeryError(
            f"{unit}: gradients per language are known for plain {', '.join(leaf_names())}, not "
            f"for {module}"
        )
    source_of = batch.source_of if reads_source else None
    rows = len(batch) if source_of is not None else x.size(batch_dim)
    to = Destination(sink, unit, batch.by_language(rows, unit), batch_dim)
    return leaf.forward(module, x, to, source_of)
