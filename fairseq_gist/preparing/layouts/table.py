"""Tables with tabs between cells, as people and programs write them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import iter_lines
from fairseq_gist.preparing.layouts.reading import remembered

__all__ = ["Table", "read_rows"]

_SHOWN = 12


@dataclass(frozen=True)
class Table:
    """The rows of one file."""

    path: Path
    header: Tuple[str, ...]
    """As written, without spaces round them."""
    rows: List[Tuple[int, Dict[str, str]]]
    """(Line in the file, column -> cell); without lines of the wrong number of cells."""
    wrong: Dict[int, str]
    """Line -> what is wrong with it."""

    def expected(self, names: str) -> DataError:
        """What to raise where columns are lacking."""
        found = ", ".join(map(shortened, self.header[:_SHOWN])) or "an empty file"
        if len(self.header) == 1 and any(mark in self.header[0] for mark in ",;"):
            return DataError(
                f"{self.path}, line 1: expected tabs between the columns, found {found}"
            )
        return DataError(f"{self.path}, line 1: expected the columns {names}, found {found}")


def _read_rows(path: Path) -> Table:
    """Read a table; quotes are those of a text, unless they are doubled or all cells have them.

    Programs that write tables with quotes put them round what has some, which they double; others
    write them as they are, and a sentence may begin and end with one.
    """
    lines = [(number, line) for number, line in enumerate(iter_lines(path), 1) if line.strip()]
    names = [cell.strip() for cell in lines[0][1].split("\t")] if lines else []
    quoted = bool(names) and all(len(name) > 1 and name[0] == name[-1] == '"' for name in names)
    header = tuple(_unquoted(name, quoted) for name in names)
    rows, wrong = [], {}
    for number, line in lines[1:]:
        cells = line.split("\t")
        if len(cells) == len(header):
            rows.append((number, dict(zip(header, (_unquoted(cell, quoted) for cell in cells)))))
        else:
            wrong[number] = (
                f"{path}, line {number}: expected {len(header)} cells, as line 1 has, found "
                f"{len(cells)}; is there a tab or line break in a text?"
            )
    return Table(path, header, rows, wrong)


def _unquoted(cell: str, always: bool) -> str:
    if len(cell) < 2 or not cell[0] == cell[-1] == '"':
        return cell
    inner = cell[1:-1]
    if '"' in inner.replace('""', ""):
        return cell
    return inner.replace('""', '"') if always or '""' in inner else cell


read_rows = remembered(_read_rows)
