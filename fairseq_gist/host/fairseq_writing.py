"""What fairseq writes of checkpoints: files whole or not at all, and a full disk in one line."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from pathlib import Path
from typing import Any, Iterator

from fairseq import checkpoint_utils

from fairseq_gist.errors import GistError
from fairseq_gist.files import replacing
from fairseq_gist.files.replacing import reserve, told_of_full_disk
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.host.torch_files import size_on_disk

__all__ = ["write_checkpoints_whole"]

_MARK = "gist_writes_whole"


def write_checkpoints_whole() -> None:
    """Have fairseq's module of checkpoints write so; a second call does nothing more.

    It writes one file beside its place and copies that to its other names: a copy that a kill or a
    full disk cuts off has taken the place of the whole one from before.
    """
    save = checkpoint_utils.torch_persistent_save
    if hasattr(save, _MARK):
        return

    @functools.wraps(save)
    def wrapped(obj: Any, filename: Any, async_write: bool = False) -> None:
        if async_write or not _is_local(filename):
            save(obj, filename, async_write)
            return
        temporary = Path(f"{filename}.tmp")  # as fairseq calls it
        with one_line_errors(), _without_debris(temporary):
            size = size_on_disk(obj)
            with told_of_full_disk(Path(filename), size, temporary):
                temporary.touch()
                reserve(temporary, size)
                save(obj, filename)

    setattr(wrapped, _MARK, True)
    checkpoint_utils.torch_persistent_save = wrapped
    checkpoint_utils.PathManager = _WholeCopies


class _WholeCopies(checkpoint_utils.PathManager):
    """fairseq's way to files, but for how they are copied."""

    @staticmethod
    def copy(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
        """Copy a file, whole or not at all."""
        if not (_is_local(src_path) and _is_local(dst_path)):
            return super(_WholeCopies, _WholeCopies).copy(src_path, dst_path, overwrite)
        size = os.path.getsize(src_path)
        with one_line_errors(), replacing(dst_path, size) as temporary:
            reserve(temporary, size)
            shutil.copyfile(src_path, temporary)
        return dst_path


def _is_local(path: Any) -> bool:
    return isinstance(path, str) and not checkpoint_utils.PathManager.path_requires_pathmanager(
        path
    )


@contextlib.contextmanager
def _without_debris(temporary: Path) -> Iterator[None]:
    try:
        yield
    except (GistError, OSError, RuntimeError, KeyboardInterrupt):
        temporary.unlink(missing_ok=True)
        raise
