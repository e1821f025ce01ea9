"""What layouts read alike: times, whole audio files, and files that are asked for several times."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Callable, Iterable, List, Optional, Sequence, Tuple, TypeVar

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import missing, read_lines
from fairseq_gist.sound.audio import read_wave

__all__ = [
    "checked_name",
    "find_audio",
    "in_order",
    "lines_of",
    "remembered",
    "seconds",
    "seconds_of",
]

_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$", re.ASCII)
_ENDINGS = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".sph")
_VALIDATION = ("dev", "val")
_LONGEST = 255
"""Bytes of a file's or folder's name, as most file systems have it."""

Read = TypeVar("Read")


def remembered(read: Callable[[Path], Read], at_most: Optional[int] = 32) -> Callable[[Path], Read]:
    """Return ``read``, a function of a file, which keeps what it found until the file changes.

    A split is gone through several times, and a table may hold all splits and languages.
    """

    @functools.lru_cache(maxsize=at_most)
    def kept(path: Path, size: int, time: int) -> Read:
        return read(path)

    @functools.wraps(read)
    def reader(path: Path) -> Read:
        if not path.is_file():
            raise DataError(f"{path}: {missing(path)}")
        status = path.stat()
        return kept(path, status.st_size, status.st_mtime_ns)

    return reader


def seconds(found: str, name: str, where: str) -> float:
    """Return a time in seconds, or raise DataError that says where which was expected."""
    if not _NUMBER.match(found):
        shown = f"'{shortened(found)}'" if found else "nothing"
        raise DataError(f"{where}: {name} should be seconds, found {shown}")
    number = float(found)
    if not 0 <= number < float("inf"):
        raise DataError(f"{where}: {name} should be seconds from 0 on, found {shortened(found)}")
    return number


def _seconds_of(path: Path) -> float:
    """Return how long an audio file is, by its header."""
    return read_wave(path).seconds


seconds_of = remembered(_seconds_of, at_most=None)


def lines_of(path: Path, listing: Path, count: int) -> List[str]:
    """Return the lines of a text, or raise DataError where a listing has another number."""
    lines = read_lines(path)
    if len(lines) != count:
        raise DataError(f"{path}: {len(lines)} lines, but {listing.name} lists {count} segments")
    return lines


def checked_name(name: str, where: str, what: str = "wav") -> str:
    """Return the name or path of a file, or raise DataError where no file can be called so."""
    parts = [len(part.encode()) for part in Path(name).parts]
    if not name.isprintable() or not parts or max(parts) > _LONGEST or sum(parts) > 4 * _LONGEST:
        raise DataError(f"{where}: {what} should be a file name, found '{shortened(name)}'")
    return name


def find_audio(folders: Sequence[Path], name: str) -> Path:
    """Return the audio file of a name in the first folder that has it.

    It may have another ending than the name says, in either case, or the name none. Where there
    is no such file, the one is given that should be in the first folder.
    """
    ending = Path(name).suffix
    stem = name[: -len(ending)] if ending.lower() in _ENDINGS else name
    names = (name, *(stem + one for one in _ENDINGS), *(stem + one.upper() for one in _ENDINGS))
    for folder in folders:
        for path in (folder / one for one in names):
            if os.path.isfile(path):  # False also where no path can be so long
                return path
    return folders[0] / name


def in_order(splits: Iterable[str], root: Path) -> Tuple[str, ...]:
    """Return the splits that were found: train, those to validate on, then the others.

    Raises:
        DataError: where none is called train.
    """
    found = sorted(set(splits))
    if "train" not in found:
        raise DataError(
            f"{root}: expected a split called train, found {', '.join(found) or 'none'}; rename "
            "one or choose with --splits"
        )
    return tuple(
        sorted(found, key=lambda one: (one != "train", not one.startswith(_VALIDATION), one))
    )
