"""A figure of the report: the numbers, and how they are drawn."""

from __future__ import annotations

import math
from typing import Any, Callable, List, NamedTuple, Sequence, Tuple, Union

from fairseq_gist.files.tables import csv_of

__all__ = ["Drawn", "Figure", "Missing", "Table"]


class Table(NamedTuple):
    """The numbers behind a figure, one row each."""

    header: Tuple[str, ...]
    rows: List[Tuple[Any, ...]]

    def column(self, name: str) -> List[Any]:
        """Return one column."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]

    def to_csv(self) -> str:
        """Return the table in full precision; what is not defined is an empty cell."""
        return csv_of([self.header, *([_cell(value) for value in row] for row in self.rows)])


class Figure(NamedTuple):
    """One figure.

    Attributes:
        name: stem of its files.
        title: a line above it.
        caption: what is to be seen, where the numbers come from, with their signature.
        table: the numbers; nothing else is drawn.
        draw: returns a ``matplotlib.figure.Figure``.
        is_folded: whether the page shows it only when asked to.
    """

    name: str
    title: str
    caption: str
    table: Table
    draw: Callable[[], Any]
    is_folded: bool = False


class Missing(NamedTuple):
    """A figure that can't be made."""

    title: str
    why: str


Drawn = Sequence[Union[Figure, Missing]]


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else value
