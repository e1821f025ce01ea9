"""From an error of ours to one line and exit code 1, where fairseq would show something else."""

from __future__ import annotations

import contextlib
import sys
from typing import Iterator

from fairseq_gist.errors import GistError

__all__ = ["one_line_errors"]


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a :class:`GistError` inside the block into its message and exit code 1.

    fairseq replaces every exception while it loads a checkpoint by "ensure that the architectures
    match", and shows a traceback for the rest; only ``SystemExit`` passes through. The error stays
    reachable as its cause.
    """
    try:
        yield
    except GistError as error:
        sys.stdout.flush()
        raise SystemExit(f"fairseq-gist: error: {' '.join(str(error).split())}") from error
