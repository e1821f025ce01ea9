"""The numbers behind the figures of layers and of kinds of units."""

from __future__ import annotations

from typing import Sequence

from fairseq_gist.report.figure import Table
from fairseq_gist.report.similarity import Part

__all__ = ["table_of_parts"]

_HEADER = ("stack", "layer", "kind", "units", "cosine", "low", "high")


def table_of_parts(parts: Sequence[Part]) -> Table:
    """Return a row a part: where it is, how many units it has, its mean cosine and interval."""
    return Table(
        _HEADER,
        [
            (part.stack, part.layer, part.kind, len(part.places), *map(float, part.cosine))
            for part in parts
        ],
    )
