"""numpy's global generator, which fairseq augments rows from, seeded for one row at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Iterator

import numpy as np

__all__ = ["augmentation_seed", "generator_state"]


class _Lock:
    """Held by the thread that draws from numpy's global generator, which all threads share.

    Without workers, fairseq loads rows in threads: those of validation while those of training are
    still being loaded. A process that is forked has none of these threads, so its lock is free.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self.lock = threading.Lock()


_GENERATOR = _Lock()


@contextlib.contextmanager
def generator_state() -> Iterator[None]:
    """Leave numpy's global generator as it was, and to this thread alone, inside the block."""
    with _GENERATOR.lock:
        state = np.random.get_state()
        try:
            yield
        finally:
            np.random.set_state(state)


@contextlib.contextmanager
def augmentation_seed(*parts: int) -> Iterator[None]:
    """Seed numpy's global generator, which fairseq's augmentation draws from, inside the block.

    With (seed, epoch, row, repetition) a row is augmented the same in an uninterrupted run and in
    a resumed one, whichever worker process or thread prepares it.
    """
    with generator_state():
        np.random.seed(np.random.SeedSequence(parts).generate_state(4))
        yield
