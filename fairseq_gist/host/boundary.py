"""From an error of ours to one line and exit code 1, where fairseq would show something else."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Iterator

from fairseq_gist.errors import GistError

__all__ = ["one_line_errors"]

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a :class:`GistError` inside the block into its message and exit code 1.

    fairseq replaces every exception while it loads a checkpoint by "ensure that the architectures
    match", and shows a traceback for the rest; only ``SystemExit`` passes through. So this stands
    where fairseq calls us, and nowhere below. The error stays reachable as its cause, and its
    traceback is logged at level DEBUG (``LOGLEVEL=DEBUG``, ``fairseq-gist --debug``).
    """
    try:
        yield
    except GistError as error:
        logger.debug("what the next line is about:", exc_info=error)
        sys.stdout.flush()
        raise SystemExit(f"fairseq-gist: error: {' '.join(str(error).split())}") from error
