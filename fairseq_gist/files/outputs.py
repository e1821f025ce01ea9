"""What a command may write over: a file of the kind that it writes, unless that is an input."""

from __future__ import annotations

import argparse
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Iterable, Optional, Union

from fairseq_gist.errors import OptionError
from fairseq_gist.files.replacing import check_ordinary
from fairseq_gist.files.signed import is_as_written

__all__ = [
    "CARD",
    "CHANGED_CARD",
    "CHECKPOINT",
    "DAMAGED",
    "LOSSES",
    "OTHER",
    "PLAN",
    "SCORES",
    "STATISTICS",
    "TABLE",
    "TRANSLATIONS",
    "add_force_option",
    "check_folder",
    "check_new_folder",
    "check_output",
    "kind_of",
]

CARD = "a model card"
CHANGED_CARD = "a model card that was changed by hand"
CHECKPOINT = "a checkpoint"
DAMAGED = "a damaged archive"
OTHER = "another file"
STATISTICS = "gradient statistics"
PLAN = "a sharing plan"
SCORES = "scores"
LOSSES = "losses of a run"
TABLE = "a table of scores"
TRANSLATIONS = "translations"

_FORCE = "--force"
_LARGEST_TEXT = 1 << 28
_TABLES = (b"system,against,seed,metric,", b"% Needs \\usepackage{booktabs}.")
_SUBTITLES = re.compile(rb"(?:WEBVTT\s+)?1\n\d\d+:\d\d:\d\d[,.]\d{3} --> |WEBVTT\s*$")
_MARKDOWN = re.compile(rb"\|[^|\n]+\| *seeds *\| *parameters *\|")
"""The first cell is a metric's name."""


def add_force_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option by which a user says that a file may be lost."""
    parser.add_argument(
        _FORCE,
        action="store_true",
        help="write even over an input, or over a file of another kind",
    )


def check_output(
    path: Union[str, Path],
    option: str = "-o",
    *,
    kind: str,
    inputs: Iterable[Optional[Union[str, Path]]] = (),
    force: Optional[bool] = False,
) -> None:
    """Refuse a place where a file can't or mustn't be written: asked before the work, not after.

    Args:
        path: of the file.
        option: that names it.
        kind: of what will be written, one of those above.
        inputs: files that are read for it; None is none.
        force: whether they, and files of other kinds, may be lost; None where nobody can say so.

    Raises:
        OptionError: where it can't become a file, is an input, or holds something else.
    """
    if Path(path).is_dir():
        raise OptionError(f"{option} {path}: that is a folder; name a file")
    check_ordinary(Path(path))
    _check_can_be_made(Path(path), option, "file")
    if not force:
        _check_loss(Path(path), option, kind, inputs, "" if force is None else f", or add {_FORCE}")


def check_folder(path: Path, option: str = "-o") -> None:
    """Raise OptionError where a folder can't be made, or that is a file."""
    if path.exists() and not path.is_dir():
        raise OptionError(f"{option} {path}: that is a file; name a folder")
    _check_can_be_made(path, option, "folder")


def check_new_folder(path: Path, option: str = "-o") -> None:
    """Raise OptionError where a folder can't be made, or that is a file, or isn't empty."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        found = "a file" if path.is_file() else "one with files"
        raise OptionError(f"{option} {path}: expected a new folder, found {found}")
    check_folder(path, option)


def _check_can_be_made(path: Path, option: str, what: str) -> None:
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OptionError(f"{option} {path}: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OptionError(f"{option} {path}: can't write in {folder}; name another {what}")


def _check_loss(
    path: Path, option: str, kind: str, inputs: Iterable[Optional[Union[str, Path]]], way_out: str
) -> None:
    if not path.exists():
        return
    for given in inputs:
        if given is not None and Path(given).exists() and path.samefile(given):
            raise OptionError(
                f"{option} {path}: that is an input, and would become {kind}; name another file"
                f"{way_out}"
            )
    found = kind_of(path)
    if found not in (None, kind):
        raise OptionError(
            f"{option} {path}: that is {found}, and would become {kind}; name another file{way_out}"
        )


def kind_of(path: Path) -> Optional[str]:
    """Return what is in a file; None for an empty one."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        return None
    if start.startswith(b"PK"):
        return _kind_of_archive(path)
    if start.startswith(b"\x80"):  # as torch saved before 1.6
        return CHECKPOINT
    if _SUBTITLES.match(start):
        return TRANSLATIONS
    if start.startswith(_TABLES) or _MARKDOWN.match(start):
        return TABLE
    as_written = is_as_written(path.read_bytes() if start.startswith(b"---\n") else b"")
    if as_written is not None:
        return CARD if as_written else CHANGED_CARD
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _kind_of_object(path)
    return OTHER


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return DAMAGED
    if any(name.endswith("data.pkl") for name in names):
        return CHECKPOINT
    return STATISTICS if "schema.npy" in names else "another archive"


def _kind_of_object(path: Path) -> str:
    if path.stat().st_size > _LARGEST_TEXT:
        return OTHER
    try:
        keys = set(json.loads(path.read_bytes()))
    except (ValueError, RecursionError):
        return OTHER
    if {"languages", "units"} <= keys:
        return PLAN
    if {"by", "subsets"} <= keys:
        return LOSSES
    if {"audio", "translations"} <= keys:
        return TRANSLATIONS
    return SCORES if "systems" in keys else OTHER
