"""A disk that is full: the run goes on where it can, and otherwise all of it ends with a line."""

import resource

import pytest

from tests.e2e.ranks import as_rank, free_port, start, training, wait

SPLIT = ["--differentiate-at=4", "--gradient-window=4", "--gradient-chunks=4", "--max-update=6"]


def limited(size):
    """Have files be no larger than that, as on a disk without room for more."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _train(ranks, size, arguments):
    """Train where the first process can write no larger files."""
    port = free_port()
    return wait(
        [
            start(
                [*arguments, *as_rank(rank, ranks, port)],
                preexec_fn=limited(size) if rank == 0 else None,
            )
            for rank in range(ranks)
        ]
    )


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_training_goes_on_and_splits(data, tmp_path, ranks):
    arguments = training(
        data, tmp_path / "checkpoints", *SPLIT, "--no-save", "--disable-validation",
        f"--save-gradient-statistics={tmp_path / 'statistics.npz'}",
    )  # fmt: skip
    first, *others = _train(ranks, 1000, arguments)
    for process in (first, *others):
        assert process.status == 0, process.output[-3000:]
    assert "statistics.npz wasn't written: " in first.output
    assert "as the disk is full or a limit is reached: it needs " in first.output
    assert "update 4: differentiated" in first.output
    assert "num_updates=6" in first.output.replace("num_updates 6", "num_updates=6")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_without_room_ends_the_run_and_leaves_the_one_before(data, tmp_path, ranks):
    """Also where it is copied only; and every other process ends, too."""
    folder = tmp_path / "checkpoints"
    for process in _train(ranks, 10**9, training(data, folder, "--max-update=1")):
        assert process.status == 0, process.output[-3000:]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    first, *others = _train(ranks, 100_000, training(data, folder, "--max-update=2"))
    for process in (first, *others):
        assert process.status == 1, process.output[-3000:]
        assert "Traceback" not in process.output
    assert (
        ".pt: not written, as the disk is full or a limit is reached: it needs "
        in (first.output.splitlines()[-1])
    )
    for process in others:
        assert "process 0 of 2 (counted from 0) has ended" in process.output.splitlines()[-1]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
