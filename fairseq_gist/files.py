"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Iterator, Union

from fairseq_gist.errors import OptionError

__all__ = ["check_output", "replacing"]


def check_output(path: Union[str, Path], option: str = "-o") -> None:
    """Raise OptionError where ``path`` can't become a file: asked before the work, not after."""
    if Path(path).is_dir():
        raise OptionError(f"{option} {path}: that is a folder; name a file")
    _check_ordinary(Path(path))
    folder = Path(path).absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OptionError(f"{option} {path}: {folder} is a file, not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OptionError(f"{option} {path}: can't write in {folder}; name another file")


@contextlib.contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it over ``path`` when the block succeeds.

    On any error, ctrl-C included, the temporary file is removed and ``path`` stays as it was.
    """
    path = Path(path)
    _check_ordinary(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        if temporary.exists():
            temporary.unlink()


def _check_ordinary(path: Path) -> None:
    """Raise OptionError for a folder or a device: root could rename a file over /dev/null."""
    if path.exists() and not path.is_file():
        raise OptionError(f"{path} is no ordinary file, and won't be replaced by one")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
