"""Tables as CSV, in which no text is a formula."""

import csv
import io
import re
from typing import Any, Iterable

__all__ = ["csv_of"]

_FORMULA = re.compile(r"[=+\-@\t\r].", re.DOTALL)
"""What spreadsheets take for one, at the beginning of a cell."""


def csv_of(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV; a text that a spreadsheet would compute gets an apostrophe before it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(_inert, row) for row in rows)
    return text.getvalue()


def _inert(value: Any) -> Any:
    if not isinstance(value, str) or not _FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
