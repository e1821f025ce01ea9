"""Runs that are killed at random moments, and started again by the same command until they end."""

import logging
import os
import random
import re
from pathlib import Path

import pytest
from fairseq import checkpoint_utils

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.ranks import as_rank, free_port, start, training, wait

logger = logging.getLogger(__name__)

KILLS = int(os.environ.get("KILLS", "2"))
"""In each test; ``KILLS=30 pytest tests/e2e/test_kills.py --log-cli-level=INFO`` says which."""

OPTIONS = [
    "--max-update=14", "--differentiate-at=10", "--gradient-window=8", "--gradient-chunks=4",
    "--update-freq=2", "--save-interval-updates=3", "--keep-interval-updates=2",
]  # fmt: skip
FIRST_LINE = re.compile(r"killing: (\d+) file events, ([\d.]+) seconds")


def _run(ranks, data, folder, moment="never", killed=0):
    """Train in ``ranks`` processes, of which one is killed at ``moment``."""
    port = free_port()
    split = ["--differentiate-by=gradient", f"--save-gradient-statistics={folder / 'stats.npz'}"]
    arguments = training(data, folder, *OPTIONS, *split)
    return wait(
        [
            start(
                [
                    moment if rank == killed else "never", "SIGKILL", str(folder), "train",
                    *arguments, *as_rank(rank, ranks, port),
                ],
                ["-m", "tests.e2e.killing"],
            )
            for rank in range(ranks)
        ],
        seconds=300,
    )  # fmt: skip


def _load(folder):
    return checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))


def _assert_same_end(folder: Path, other: Path) -> None:
    ours, theirs = _load(folder), _load(other)
    assert not plan_in_state(ours["model"]).is_shared
    assert plan_in_state(ours["model"]) == plan_in_state(theirs["model"])
    assert_same_tensors(ours["model"], theirs["model"])
    moments, others = (one["last_optimizer_state"]["state"] for one in (ours, theirs))
    assert list(moments) == list(others)
    for parameter, state in moments.items():
        assert_same_tensors(state, others[parameter])
    saved, expected = (GradientStatistics.load(one / "stats.npz") for one in (folder, other))
    assert (saved.gram == expected.gram).all()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in other.iterdir()
    )


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_that_is_killed_ends_as_one_that_never_was(data, tmp_path, ranks):
    """Bit for bit, with the same files and no others; killed while a file is written, or not."""
    whole = tmp_path / "whole"
    ended = _run(ranks, data, whole)
    assert [one.status for one in ended] == [0] * ranks, ended[0].output[-3000:]
    events, seconds = FIRST_LINE.search(ended[0].output).groups()
    chance = random.Random(ranks)
    folder, was_killed, runs = tmp_path / "killed", 0, 0
    while was_killed < KILLS:
        in_file = (
            f"file:{chance.randint(1, int(events))}:{chance.choice([0, chance.random() / 200])}"
        )
        at_time = f"seconds:{chance.uniform(0, float(seconds)):.3f}"
        moment, killed = chance.choice([in_file, at_time]), chance.randrange(ranks)
        if killed > 0:
            moment = at_time  # it writes no files
        ended = _run(ranks, data, folder, moment, killed)
        runs += 1
        is_over = all(one.status == 0 for one in ended)
        was_killed += ended[killed].status == -9
        logger.info(
            f"{moment} in process {killed}: statuses {[one.status for one in ended]}, "
            f"{sorted(path.name for path in folder.glob('*'))}"
        )
        for rank, one in enumerate(ended):
            assert is_over or rank == killed or _is_one_line(one.output), one.output[-3000:]
        if is_over:
            _assert_same_end(folder, whole)
            folder.rename(tmp_path / f"over-{runs}")
    ended = _run(ranks, data, folder)
    assert [one.status for one in ended] == [0] * ranks, ended[0].output[-3000:]
    _assert_same_end(folder, whole)
    logger.info(f"{was_killed} kills in {runs} runs: equal, difference 0.0")


def _is_one_line(output):
    return "Traceback" not in output and output.splitlines()[-1].startswith("fairseq-gist: error: ")
