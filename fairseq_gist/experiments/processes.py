"""Commands in processes of their own, which can all be stopped."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Callable, Mapping, Optional, Sequence, Set

__all__ = ["Processes", "last_lines"]

_PATIENCE = 10.0
"""Seconds that a process has to end when it is asked to."""


class Processes:
    """Runs commands, each with all that it starts as a group of processes.

    Args:
        environment: of the commands.
        say: told the lines of output that are to be shown.
        lock: an open file that the commands keep open, too: what it locks stays locked as long as
            one of them runs, even if this process is killed.
    """

    def __init__(
        self, environment: Mapping[str, str], say: Callable[[str], None], lock: IO[str]
    ) -> None:
        self._environment = dict(environment)
        self._say = say
        self._lock_file = lock
        self._lock = threading.Lock()
        self._running: Set[subprocess.Popen[str]] = set()
        self._is_stopped = False

    def run(self, command: Sequence[str], log: Path, shows: str = "") -> int:
        """Run a command, its output to the end of the log; give its exit status.

        ``shows`` is a regular expression: matching lines of the output are told, too, or of them
        what its groups have found.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            process = self._start(command, subprocess.PIPE if shows else file)
            if process is None:
                return -signal.SIGTERM
            try:
                if shows and process.stdout:
                    self._copy(process.stdout, file, re.compile(shows))
                return process.wait()
            except BaseException:  # nobody would read what it says any more
                _end([process])
                raise
            finally:
                with self._lock:
                    self._running.discard(process)

    def stop(self) -> None:
        """End all that runs, with what it started; start nothing more."""
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        _end(running)

    def _start(
        self, command: Sequence[str], output: int | IO[str]
    ) -> Optional[subprocess.Popen[str]]:
        with self._lock:
            if self._is_stopped:
                return None
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                text=True,
                errors="replace",
                start_new_session=True,
                pass_fds=[self._lock_file.fileno()],
            )
            self._running.add(process)
            return process

    def _copy(self, output: IO[str], file: IO[str], shown: re.Pattern[str]) -> None:
        for line in output:
            file.write(line)
            file.flush()
            found = shown.search(line)
            if found:
                parts = [part for part in found.groups() if part] or [line.rstrip("\n")]
                self._say(" ".join(parts))


def last_lines(path: Path, count: int = 4) -> str:
    """Return the end of a log."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 10_000))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-count:])


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    """End processes with all that they started.

    They have some time to do it themselves, unless somebody presses ctrl-C meanwhile.
    """
    until = time.monotonic() + _PATIENCE
    try:
        for process in processes:
            _signal(process, signal.SIGTERM)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            if process.poll() is None:
                _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
