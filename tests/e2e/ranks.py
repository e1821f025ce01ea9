"""Trainings in processes of their own, several of which make one run."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, NamedTuple, Sequence

from tests import forking
from tests.e2e.conftest import RECIPE, SMALL_MODEL

REPO = Path(__file__).resolve().parents[2]
_PROGRAM = ["-c", "from fairseq_cli.train import cli_main; cli_main()"]


class Ended(NamedTuple):
    """What came of one process."""

    status: int
    output: str


def free_port() -> int:
    """Return the number of a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def training(data: Path, folder: Path, *options: str) -> List[str]:
    """Return the arguments of ``fairseq-train`` for the tests' small model."""
    return [
        str(data), "--user-dir", str(REPO / "fairseq_gist"), "--task=gist_speech_to_text",
        "--criterion=gist_label_smoothed_cross_entropy", *SMALL_MODEL, *RECIPE,
        f"--save-dir={folder}", *options,
    ]  # fmt: skip


def as_rank(rank: int, count: int, port: int, backend: str = "legacy_ddp") -> List[str]:
    """Return what one of ``count`` processes is told besides; nothing where it is the only one."""
    if count == 1:
        return []
    return [
        "--distributed-no-spawn", f"--distributed-rank={rank}",
        f"--distributed-world-size={count}", "--distributed-backend=gloo",
        f"--distributed-init-method=tcp://localhost:{port}", f"--ddp-backend={backend}",
    ]  # fmt: skip


def start(
    arguments: Sequence[str], program: Sequence[str] = _PROGRAM, *, fresh: bool = False, **options
) -> "Started":
    """Start Python on ``program`` in a process of its own.

    Args:
        arguments: of the program.
        program: as Python's command line has it.
        fresh: it imports everything itself, as a user's does.
        options: of :class:`subprocess.Popen`.
    """
    return (Started if fresh else forking.Popen)(
        [sys.executable, "-W", "ignore", *program, *arguments],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


Started = subprocess.Popen


def wait(processes: Sequence[Started], seconds: float = 300) -> List[Ended]:
    """Return what came of processes; none of them is left, whatever happens.

    What they print is read at the same time: one whose pipe is full would hold up the others.
    """
    try:
        with ThreadPoolExecutor(len(processes)) as readers:
            outputs = list(readers.map(lambda one: one.communicate(timeout=seconds)[0], processes))
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
    return [Ended(process.returncode, output) for process, output in zip(processes, outputs)]


def train_as(
    count: int, data: Path, folder: Path, *options: str, backend: str = "legacy_ddp"
) -> List[Ended]:
    """Train in ``count`` processes until they end."""
    port = free_port()
    arguments = training(data, folder, *options)
    return wait(
        [start([*arguments, *as_rank(rank, count, port, backend)]) for rank in range(count)]
    )
