"""Sound files that are bytes in memory, by way of files that have no name.

Not by a file object of Python: libsndfile calls that back, and what is raised in a callback is
lost. Ctrl-C was, one time in four, and the sound ended there without a word.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any, BinaryIO, Iterator, Tuple

import numpy as np

__all__ = ["decoded", "encoded"]


def decoded(data: bytes, dtype: str) -> Tuple[np.ndarray, int]:
    """Return samples, `[samples]` or `[samples, channels]`, and their rate in Hz.

    Args:
        data: a sound file.
        dtype: of the samples.

    Raises:
        RuntimeError: when it is none.
    """
    with _unnamed() as file:
        file.write(data)
        file.seek(0)
        samples, rate = _by_libsndfile("read", file, dtype=dtype)
    return samples, int(rate)


def encoded(samples: np.ndarray, rate: int, **form: str) -> bytes:
    """Return samples as a sound file.

    Args:
        samples: `[samples]` or `[samples, channels]`.
        rate: in Hz.
        form: ``format`` and ``subtype``, by libsndfile's names.
    """
    with _unnamed() as file:
        _by_libsndfile("write", file, samples, rate, **form)
        file.seek(0)
        return file.read()


def _by_libsndfile(what: str, file: BinaryIO, *args: Any, **options: Any) -> Any:
    import soundfile

    try:
        return getattr(soundfile, what)(file.fileno(), *args, closefd=False, **options)
    except RuntimeError as error:  # whose message begins with the number of the file
        raise RuntimeError(getattr(error, "error_string", str(error))) from error


@contextlib.contextmanager
def _unnamed() -> Iterator[BinaryIO]:
    try:
        file: BinaryIO = os.fdopen(os.memfd_create("sound"), "w+b")
    except (AttributeError, OSError):  # neither every system has it nor every sandbox
        file = tempfile.TemporaryFile()  # noqa: SIM115
    with file:
        yield file
