"""Reading text: UTF-8 with or without a byte order mark, and every error names file and line."""

import codecs
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Union

from fairseq_gist.errors import DataError

__all__ = [
    "iter_lines",
    "missing",
    "read_json",
    "read_lines",
    "read_object",
    "read_table",
    "read_text",
]


def missing(path: Union[str, Path]) -> str:
    """Return what is in the place of a file that isn't there: nothing, or something else."""
    return "a folder, expected a file" if Path(path).is_dir() else "no such file"


def read_text(path: Union[str, Path]) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
        DataError: where there is no such file, or it isn't UTF-8.
    """
    return "".join(_lines(path))


def iter_lines(path: Union[str, Path]) -> Iterator[str]:
    """Go through the lines of a text file without their ends, of which only line feeds count.

    A text may hold other characters that Python splits at, such as U+2028. A byte order mark is no
    part of the text.

    Raises:
        DataError: where there is no such file, or it isn't UTF-8.
    """
    return (line.rstrip("\r\n") for line in _lines(path))


def read_lines(path: Union[str, Path]) -> List[str]:
    """Return what :func:`iter_lines` goes through.

    Raises:
        DataError: where there is no such file, or it isn't UTF-8.
    """
    return list(iter_lines(path))


def read_table(path: Union[str, Path]) -> List[Dict[str, str]]:
    """Return the rows of a tab-separated file, column -> cell, by the names in its first line.

    As fairseq reads and writes them: quotes are text. A row lacks the columns it has no cell for,
    and cells without a column are left out.

    Raises:
        DataError: where there is no such file, or it isn't UTF-8.
    """
    header, *rows = [line.split("\t") for line in read_lines(path) if line] or [[]]
    return [dict(zip(header, cells)) for cells in rows]


def read_json(path: Union[str, Path], expected: str) -> Any:
    """Return what a JSON file holds.

    Args:
        path: of the file.
        expected: what the file should be, for errors: "a scores file".

    Raises:
        DataError: where there is no such file, or it holds anything else than JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected {expected}, found no JSON ({error})") from error


def read_object(path: Union[str, Path], expected: str) -> Dict[str, Any]:
    """Return the object that a JSON file holds.

    Args:
        path: of the file.
        expected: what the file should be, for errors: "a scores file".

    Raises:
        DataError: where there is no such file, or it holds anything else.
    """
    found = read_json(path, expected)
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected {expected}, found JSON that is no object")
    return found


def _lines(path: Union[str, Path]) -> Iterator[str]:
    """Go through the lines of a file with their ends."""
    if not Path(path).is_file():
        raise DataError(f"{path}: {missing(path)}")
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise DataError(
                    f"{path}, line 1: not UTF-8 but, by its byte order mark, UTF-16; convert it: "
                    "iconv -f UTF-16 -t UTF-8"
                )
            if number == 1 and line.startswith(codecs.BOM_UTF8):
                line = line[len(codecs.BOM_UTF8) :]
                if not line:
                    return
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                place = f"{error.reason} at byte {error.start + 1} of the line"
                raise DataError(f"{path}, line {number}: not UTF-8 ({place})") from error
