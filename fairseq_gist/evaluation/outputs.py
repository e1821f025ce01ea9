"""Reading the file that ``fairseq-generate --results-path DIR`` writes.

The file mixes log lines with one block a row: ``T-ID<tab>reference``,
``H-ID<tab>score<tab>pieces``, ``D-ID<tab>score<tab>text`` and ``P-ID``. What is scored is ``D-``,
the text after sentencepiece and tokenizer are undone; ``T-`` went through the vocabulary and may
hold ``<unk>``, so it serves as a check only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_lines

__all__ = ["Hypotheses", "output_path", "read_hypotheses"]

_ROW = re.compile(r"^([TD])-(\d+)(\t.*)?$", re.DOTALL)


class Hypotheses(NamedTuple):
    """What one output file holds, by the row's index in the manifest."""

    texts: Dict[int, str]
    """The best hypothesis of each row, detokenised."""
    targets: Dict[int, str]
    """The row's target as fairseq read it; empty where the subset has none."""


def output_path(directory: Path, subset: str) -> Path:
    """Return where fairseq-generate leaves the translations of ``subset``."""
    return directory / f"generate-{subset}.txt"


def read_hypotheses(path: Path) -> Hypotheses:
    """Read the best hypothesis of every row.

    With ``--nbest`` a row has several ``D-`` lines, best first; the first is taken.

    Raises:
        DataError: for a malformed line, a row that comes twice, or a file without translations.
    """
    texts: Dict[int, str] = {}
    targets: Dict[int, str] = {}
    previous = None
    for number, kind, row, rest in _rows(path):
        if kind == "T":
            targets[row] = rest
            previous = None
            continue
        if row in texts and row != previous:
            raise DataError(
                f"{path}, line {number}: row {row} is translated a second time; generate one "
                "subset a run, into a directory of its own"
            )
        previous = row
        _, tab, text = rest.partition("\t")
        if not tab:
            raise DataError(
                f"{path}, line {number}: expected 'D-{row}', a score and the text, separated by "
                "tabs, found one field; the file is damaged or was cut off"
            )
        texts.setdefault(row, text)
    if not texts:
        raise DataError(
            f"{path}: no line begins with 'D-'; generate without --quiet, and see whether the run "
            "came to its end"
        )
    return Hypotheses(texts, targets)


def _rows(path: Path) -> Iterator[Tuple[int, str, int, str]]:
    """Give line number, kind, row and what follows the first tab of each ``T-`` and ``D-`` line."""
    for number, line in enumerate(read_lines(path), start=1):
        match = _ROW.match(line)
        if match:
            yield number, match.group(1), int(match.group(2)), (match.group(3) or "")[1:]
