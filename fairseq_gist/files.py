"""Reading and writing files: no reader ever sees half of one, and every error names the file."""

import codecs
import contextlib
import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Union

from fairseq_gist.errors import DataError, OptionError, StorageError
from fairseq_gist.temporary import new_file_beside, new_folder_beside, remove_left_over

__all__ = [
    "check_ordinary",
    "iter_lines",
    "read_json",
    "read_lines",
    "read_object",
    "read_table",
    "read_text",
    "replacing",
    "replacing_folder",
    "unused_name",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TORCH_WRITES = "PytorchStreamWriter failed writing"
"""What torch says where a disk is full; it tells nobody why."""


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
def replacing(path: Union[str, Path], needs: int = 0) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    On any error, ctrl-C included, the temporary file is removed and ``path`` stays as it was. What
    a killed run left of ``path`` is removed.

    Args:
        path: of the file.
        needs: bytes that it will have, where that is known, for errors.

    Raises:
        StorageError: when there is no room for it.
    """
    path = Path(path)
    check_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(path)
    temporary = new_file_beside(path)
    try:
        yield temporary.path
        os.replace(temporary.path, path)
    except Exception as error:
        explain_writing(error, path, needs or temporary.path.stat().st_size, bool(needs))
        raise
    finally:
        temporary.release()


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside ``folder``; it takes its place when the block succeeds.

    On any error it is removed, and ``folder`` stays as it was. What a killed run left of it, too.

    Raises:
        StorageError: when there is no room for it.
    """
    folder = folder.resolve()  # what a link points to is replaced, not the link
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(folder)
    scratch = new_folder_beside(folder)
    new, old = scratch.path / "new", scratch.path / "old"
    try:
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        if isinstance(error, Exception):
            explain_writing(error, folder, sum(one.stat().st_size for one in new.rglob("*")), False)
        raise
    finally:
        scratch.release()


def explain_writing(error: Exception, path: Path, size: int, is_known: bool) -> None:
    """Raise what is behind an error that came up while a file was written; nothing otherwise.

    Libraries that are interrupted while they write fail once more while they close the file.

    Args:
        error: that came up.
        path: of the file, or folder.
        size: bytes that it needs, or has so far.
        is_known: which of the two.

    Raises:
        KeyboardInterrupt: where that was first.
        StorageError: where there is no room.
    """
    chain: List[BaseException] = [error]
    while chain[-1].__cause__ or chain[-1].__context__:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
    if any(isinstance(one, KeyboardInterrupt) for one in chain):
        raise KeyboardInterrupt from error
    if any(isinstance(one, OSError) and one.errno in _FULL for one in chain) or any(
        _TORCH_WRITES in str(one) for one in chain
    ):
        needs = f"it needs {_bytes(size)}" if is_known else f"{_bytes(size)} of it were written"
        free = shutil.disk_usage(path.parent).free
        raise StorageError(
            f"{path}: not written, as the disk is full or a limit is reached: {needs}, "
            f"{_bytes(free)} are free in {path.parent}"
        ) from error


def _bytes(count: int) -> str:
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count} bytes"


def check_ordinary(path: Path) -> None:
    """Raise OptionError for a folder or a device: root could rename a file over /dev/null."""
    if path.exists() and not path.is_file():
        raise OptionError(f"{path} is no ordinary file, and won't be replaced by one")



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
