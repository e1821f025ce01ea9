"""Write the performance table of a page from a file of figures.

``python -m benchmarks.readme bench.json README.md`` replaces what is between the marks by the
headlines, ``--every`` by every figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import List, Optional

from benchmarks.figures import read_figures
from benchmarks.table import HEADLINES, as_readable_table
from fairseq_gist.files import replacing

__all__ = ["BEGIN", "END", "ReadmeError", "main", "with_table"]

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class ReadmeError(Exception):
    """The table can't be made, or has no place to go."""


def with_table(text: str, table: str) -> str:
    """Return ``text`` with ``table`` between the marks, all else as it was.

    Raises:
        ReadmeError: unless both marks are there once, in their order.
    """
    for mark in (BEGIN, END):
        if text.count(mark) != 1:
            raise ReadmeError(f"expected the line '{mark}' once, found it {text.count(mark)} times")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ReadmeError(f"expected '{END}' after '{BEGIN}', found it before")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(arguments: Optional[List[str]] = None) -> int:
    """Rewrite or check the README; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.add_argument("figures", metavar="BENCH.json", type=Path)
    parser.add_argument("readme", metavar="README.md", type=Path)
    parser.add_argument("--every", action="store_true", help="not the headlines alone")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 where it differs")
    args = parser.parse_args(arguments)
    try:
        table = _table(args.figures, args.every)
        old = _read(args.readme)
        try:
            new = with_table(old, table)
        except ReadmeError as error:
            raise ReadmeError(f"{args.readme}: {error}") from None
    except ReadmeError as error:
        print(error, file=sys.stderr)
        return 2
    if args.check and new != old:
        print(f"{args.readme}: the table is not that of {args.figures}", file=sys.stderr)
        return 1
    if new != old:
        with replacing(args.readme) as temporary:
            temporary.write_bytes(new.encode())
    return 0


def _table(path: Path, every: bool) -> str:
    if not path.is_file():
        raise ReadmeError(f"{path}: no such file; python -m benchmarks writes it")
    try:
        figures = read_figures(path)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ReadmeError(f"{path}: not a file of figures: {error}") from None
    if not figures:
        raise ReadmeError(f"{path}: holds no figures")
    if not every:
        of = {figure.name: figure for figure in figures}
        missing = [name for name in HEADLINES if name not in of]
        if missing:
            raise ReadmeError(f"{path}: has no figure '{missing[0]}'; --missing measures it")
        figures = [of[name] for name in HEADLINES]
    return as_readable_table(figures)


def _read(path: Path) -> str:
    if not path.is_file():
        raise ReadmeError(f"{path}: no such file")
    return path.read_bytes().decode()


if __name__ == "__main__":
    sys.exit(main())
