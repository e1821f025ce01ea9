"""A program that ends itself by a signal at a moment that it is told, while it does its work.

``python -m tests.e2e.killing MOMENT SIGNAL FOLDER train|gist ARGUMENT...``, where MOMENT is

- ``never``: the work is done, and the last line says ``killing: 17 file events, 2.31 seconds``,
- ``seconds:1.5``: that long after everything was imported, and the processes of a run have found
  each other,
- ``file:7:0.002``: 2 ms after the seventh time that a file in FOLDER was begun, copied, renamed or
  removed, which is in the middle of writing it, or right before, or right after.

The signal comes from the process itself, so that it comes when it is meant to on a machine that is
busy with something else; what it does is the same. As ctrl-C in a terminal, SIGINT goes to all that
the process has started, too, where it has a group of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR
_OTHERS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.copyfile")


def main() -> None:
    """Do the work, and end in the middle of it."""
    moment, number, folder, program, *arguments = sys.argv[1:]
    if program == "train":
        from fairseq_cli.train import cli_main as work
    else:
        from fairseq_gist.cli.main import main as work
    sys.argv[:] = [program, *arguments]
    if number == "SIGINT":  # a shell's background jobs ignore it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    kind, *figures = moment.split(":")
    ending = _Ending(getattr(signal, number), Path(folder).absolute())
    if kind == "seconds" and "--distributed-no-spawn" in arguments:
        _when_joined(ending, float(figures[0]))
    elif kind == "seconds":
        ending.after(float(figures[0]))
    else:
        ending.follow_files(*((int(figures[0]), float(figures[1])) if figures else (0, 0.0)))
    begun = time.monotonic()
    try:
        code = work()
    finally:
        ending.is_over = True
    seconds = time.monotonic() - begun
    if not code:
        sys.stdout.write(f"killing: {ending.seen} file events, {seconds:.2f} seconds\n")
    raise SystemExit(code)


def _when_joined(ending: _Ending, seconds: float) -> None:
    from fairseq.distributed import utils

    init = utils.distributed_init

    def join(cfg: Any) -> Any:
        rank = init(cfg)
        ending.after(seconds)
        return rank

    utils.distributed_init = join


class _Ending:
    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.folder = number, str(folder)
        self.process = os.getpid()
        self.seen = 0
        self.is_over = False

    def after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self.end)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        if self.is_over:
            return
        if self.number == signal.SIGINT and os.getpgrp() == self.process:
            os.killpg(self.process, self.number)
        else:
            os.kill(self.process, self.number)

    def follow_files(self, which: int, delay: float) -> None:
        def hear(event: str, details: Any) -> None:
            if self.is_over or not self._is_about_a_file(event, details):
                return
            self.seen += 1
            if self.seen == which:
                self.after(delay) if delay else self.end()

        sys.addaudithook(hear)

    def _is_about_a_file(self, event: str, details: Any) -> bool:
        if os.getpid() != self.process:  # a worker, which has the hook of what it was forked from
            return False
        if event == "open":
            path, mode, flags = details
            writes = flags & _WRITES if isinstance(flags, int) else any(m in mode for m in "wax+")
            return bool(writes) and self._is_inside(path)
        if event not in _OTHERS:
            return False
        return any(self._is_inside(one) for one in details)

    def _is_inside(self, path: Any) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder)


if __name__ == "__main__":
    main()
