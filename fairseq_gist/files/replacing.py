"""Writing files and folders whole or not at all: no reader ever sees half of one."""

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Iterator, Union

from fairseq_gist.errors import OptionError, StorageError, causes_of, was_interrupted
from fairseq_gist.files.temporary import new_file_beside, new_folder_beside, remove_left_over

__all__ = ["check_ordinary", "replacing", "replacing_folder", "reserve", "told_of_full_disk"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TORCHS = ("inline_container", "PytorchStreamWriter")
"""In what torch says where a file can't be written; it tells nobody why."""


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
        with told_of_full_disk(path, needs, temporary.path):
            yield temporary.path
            os.replace(temporary.path, path)
    finally:
        temporary.release()


@contextlib.contextmanager
def told_of_full_disk(path: Path, needs: int, temporary: Path) -> Iterator[None]:
    """Say so where an error in the block comes of a disk that is full; raise others as they are.

    Args:
        path: of the file that is to be.
        needs: bytes that it will have; 0 where that isn't known.
        temporary: where it is written.

    Raises:
        StorageError: when there is no room for it.
    """
    try:
        yield
    except Exception as error:
        _explain(error, path, needs or _written(temporary), bool(needs))
        raise


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
        _give_usual_rights(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        if isinstance(error, Exception):
            _explain(error, folder, sum(map(_written, new.rglob("*"))), False)
        raise
    finally:
        scratch.release()


def _give_usual_rights(folder: Path) -> None:
    """Have all files of a folder be as readable as new ones are: safetensors asks for 0600."""
    probe = folder / ".rights"
    probe.touch()
    usual = probe.stat().st_mode
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode | usual))


def _explain(error: Exception, path: Path, size: int, is_known: bool) -> None:
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
    chain = list(causes_of(error))
    if was_interrupted(error):
        raise KeyboardInterrupt from error
    first = chain[-1]
    is_torchs = isinstance(first, RuntimeError) and any(word in str(first) for word in _TORCHS)
    if is_torchs or any(isinstance(one, OSError) and one.errno in _FULL for one in chain):
        needs = f"it needs {_bytes(size)}" if is_known else f"{_bytes(size)} of it were written"
        free = shutil.disk_usage(path.parent).free
        raise StorageError(
            f"{path}: not written, as the disk is full or a limit is reached: {needs}, "
            f"{_bytes(free)} are free in {path.parent}"
        ) from error


def _written(path: Path) -> int:
    """Return the bytes of a file; none where it is gone."""
    return path.stat().st_size if path.exists() else 0


def reserve(path: Path, size: int) -> None:
    """Raise OSError, and leave the file empty, where there is no room for ``size`` bytes in it.

    For who writes by a library that can't be told that a disk is full: torch 1.12 aborts.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        except OSError as error:
            if error.errno in _FULL:  # else a file system that can't tell
                raise
        finally:
            file.truncate(0)


def _bytes(count: int) -> str:
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.1f} {unit}"
    return f"{count} bytes"


def check_ordinary(path: Path) -> None:
    """Raise OptionError for a folder or a device: root could rename a file over /dev/null."""
    if path.exists() and not path.is_file():
        raise OptionError(f"{path} is no ordinary file, and won't be replaced by one")
