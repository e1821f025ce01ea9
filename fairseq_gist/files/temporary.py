"""Temporary files and folders beside what they will become: named after it, held, and cleaned up.

A run that is killed leaves them there. Each is locked while somebody writes it, and a lock ends
with its process: what nobody holds is removed by who next writes the same file.
"""

import contextlib
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

fcntl: Any
try:
    import fcntl
except ImportError:  # not a POSIX system, on which nothing is cleaned up
    fcntl = None

__all__ = ["Temporary", "new_file_beside", "new_folder_beside", "remove_left_over"]

_NAME = re.compile(r"\.(?P<target>.+)\.[0-9a-f]{8}(?P<ending>\.[^.]+)?")

_left: Dict[Path, Dict[str, List[Path]]] = {}
"""Folder -> name of what was to be written -> what is left of it; a folder is looked into once."""


class Temporary(NamedTuple):
    """A file or folder that is being written."""

    path: Path
    handle: int
    """Whose lock says so."""

    def release(self) -> None:
        """Remove it, unless it has another name by now."""
        os.close(self.handle)
        _remove(self.path)


def new_file_beside(path: Path) -> Temporary:
    """Make an empty file whose rights are those of any new file: the umask is asked of nobody."""
    while True:
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}{path.suffix}"
        with contextlib.suppress(FileExistsError):
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            if _hold(temporary, handle):
                return Temporary(temporary, handle)


def new_folder_beside(path: Path) -> Temporary:
    """Make an empty folder that is for this user alone."""
    while True:
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}"
        with contextlib.suppress(FileExistsError):
            temporary.mkdir(0o700)
            handle = os.open(temporary, os.O_RDONLY)
            if _hold(temporary, handle):
                return Temporary(temporary, handle)


def remove_left_over(path: Path) -> None:
    """Remove what killed runs have left of ``path``; what somebody writes at this time stays."""
    if fcntl is None:
        return
    folder = path.absolute().parent
    if folder not in _left:
        _left[folder] = _found_in(folder)
    for old in _left[folder].pop(path.name, []):
        with contextlib.suppress(OSError):
            handle = os.open(old, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(old)
            finally:
                os.close(handle)


def _found_in(folder: Path) -> Dict[str, List[Path]]:
    found: Dict[str, List[Path]] = {}
    for entry in os.scandir(folder):
        match = _NAME.fullmatch(entry.name)
        if match is None or entry.is_symlink():
            continue
        ending = "" if entry.is_dir() else Path(match.group("target")).suffix
        if (match.group("ending") or "") == ending:
            found.setdefault(match.group("target"), []).append(folder / entry.name)
    return found


def _hold(path: Path, handle: int) -> bool:
    """Lock a new file; whether it is still there, and not taken for one that was left."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if path.exists():
        return True
    os.close(handle)
    return False


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
