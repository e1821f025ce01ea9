"""Reading and writing files: no reader ever sees half of one, and every error names the file."""

import codecs
import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Union

from fairseq_gist.errors import DataError, OptionError

__all__ = [
    "check_ordinary",
    "iter_lines",
    "read_json",
    "read_lines",
    "read_object",
    "read_table",
    "read_text",
    "replacing",
    "unused_name",
]


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


def unused_name(name: str, taken: Set[str], number: int = 2) -> str:
    """Return ``name-NUMBER``, or with the next number that makes a new name; it is taken then.

    Args:
        name: that several things have.
        taken: every name that something else has, of those without a number too.
        number: the first to try.
    """
    while f"{name}-{number}" in taken:
        number += 1
    taken.add(f"{name}-{number}")
    return f"{name}-{number}"


@contextlib.contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    On any error, ctrl-C included, the temporary file is removed and ``path`` stays as it was.
    """
    path = Path(path)
    check_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _new_file_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if temporary.exists():
            temporary.unlink()


def check_ordinary(path: Path) -> None:
    """Raise OptionError for a folder or a device: root could rename a file over /dev/null."""
    if path.exists() and not path.is_file():
        raise OptionError(f"{path} is no ordinary file, and won't be replaced by one")


def _new_file_beside(path: Path) -> Path:
    """Make an empty file whose rights are those of any new file: the umask is asked of nobody."""
    while True:
        name = f".{path.name}.{secrets.token_hex(4)}{path.suffix}"
        try:
            handle = os.open(path.parent / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            continue
        os.close(handle)
        return path.parent / name


def _lines(path: Union[str, Path]) -> Iterator[str]:
    """Go through the lines of a file with their ends."""
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
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
