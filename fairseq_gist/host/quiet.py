"""fairseq's own log lines, where a program only wants what is asked of it."""

from __future__ import annotations

import contextlib
import logging
from typing import Iterator

from fairseq_gist.host.boundary import shows_tracebacks

__all__ = ["quiet_fairseq"]


@contextlib.contextmanager
def quiet_fairseq() -> Iterator[None]:
    """Have fairseq log errors alone inside the block.

    It tells of tokenizers, datasets and packages that are no matter. Who has set the level of its
    logger, or looks for causes, sees all of it.
    """
    logger = logging.getLogger("fairseq")
    if logger.level != logging.NOTSET or shows_tracebacks():
        yield
        return
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(logging.NOTSET)
