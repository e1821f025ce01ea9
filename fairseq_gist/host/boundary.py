"""From an error of ours to one line and exit code 1, where fairseq would show something else."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any, Iterator, Tuple, Type

from fairseq_gist.errors import GistError, shortened

__all__ = [
    "as_errors",
    "in_one_line",
    "one_line_errors",
    "show_own_errors_in_one_line",
    "shows_tracebacks",
]

logger = logging.getLogger(__name__)

_MARK = "gist_shows"
_PLAIN: Tuple[Tuple[Type[Exception], str, str], ...] = (
    (OSError, "Model file not found: ", "--path: there is no checkpoint {}"),
    (AssertionError, "--path required", "--path: name the checkpoint to translate with"),
    (AssertionError, "Must specify batch size", ""),
    (ValueError, "--finetune-from-model ", ""),
    (ValueError, "Seed must be between", "--seed: expected a number between{}"),
)
"""Errors of fairseq and numpy: kind, how they begin, and what is said with the rest; as it is."""
_LONGEST = 1000
"""Characters of an error's line: names and lists in it may be of any length."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a :class:`GistError` inside the block into its message and exit code 1.

    fairseq replaces every exception while it loads a checkpoint by "ensure that the architectures
    match", and shows a traceback for the rest; only ``SystemExit`` passes through. So this stands
    where fairseq calls us, and nowhere below. The error stays reachable as its cause, and its
    traceback is logged where :func:`shows_tracebacks`.
    """
    try:
        yield
    except GistError as error:
        if shows_tracebacks():
            logger.error("what the next line is about:", exc_info=error)
        sys.stdout.flush()
        raise SystemExit(f"fairseq-gist: error: {in_one_line(error)}") from error


@contextlib.contextmanager
def as_errors() -> Iterator[None]:
    """Give a :class:`GistError` back that :func:`one_line_errors` has made an exit of.

    For programs that call what is otherwise called by fairseq's commands.
    """
    try:
        yield
    except SystemExit as end:
        error = end.__cause__
        if not isinstance(error, GistError):
            raise
        raise error from error.__cause__


def show_own_errors_in_one_line() -> None:
    """Have an error of ours that nobody has caught shown as its message; others as ever.

    So are the few of fairseq's own that say what a user has to know, such as a checkpoint that
    isn't there. Batches are loaded where nothing of ours stands round: in fairseq's threads, and in
    torch's worker processes, which wrap what went wrong in them. A second call does nothing more.
    """
    before = sys.excepthook
    if getattr(before, _MARK, False):
        return

    def show(kind: Type[BaseException], error: BaseException, trace: Any) -> None:
        plain = _of_fairseq(error)
        if shows_tracebacks() or not (plain or isinstance(error, GistError)):
            before(kind, error, trace)
            return
        told = plain or str(error)
        if told.startswith("Caught "):  # by torch, in a worker; its traceback is in the message
            told = told.rpartition(f"{kind.__name__}: ")[2]
        sys.stdout.flush()
        sys.stderr.write(f"fairseq-gist: error: {shortened(told, _LONGEST)}\n")

    setattr(show, _MARK, True)
    sys.excepthook = show


def _of_fairseq(error: BaseException) -> str:
    """Return what an error of fairseq's own says to a user; empty for one that needs its trace."""
    told = str(error)
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder, expected a file"
    for kind, start, says in _PLAIN:
        if isinstance(error, kind) and told.startswith(start):
            return says.format(told[len(start) :]) if says else told
    return ""


def in_one_line(error: BaseException) -> str:
    """Return what an error says, in one line that fits a screen whatever it speaks of."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return shortened(f"{error.filename}: {error.strerror}", _LONGEST)
    return shortened(error, _LONGEST)


def shows_tracebacks() -> bool:
    """Whether somebody looks for causes: ``LOGLEVEL=DEBUG``, or ``fairseq-gist --debug``.

    The level of the root logger doesn't tell: hydra, which fairseq reads options with, lowers it.
    """
    ours = logging.getLogger("fairseq_gist").level
    return ours == logging.DEBUG or os.environ.get("LOGLEVEL", "").upper() == "DEBUG"
