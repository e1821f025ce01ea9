"""One of two processes is gone: the other one ends as well, soon, with a line that says so."""

import re
import time

import pytest

from tests.e2e.ranks import as_rank, free_port, start, training, wait

LINE = re.compile(
    r"fairseq-gist: error: process (\d) of 2 \(counted from 0\) has ended before the run has, "
    r"and so this one ends; .*"
)
DIES = """
import os, signal
def die(*args, **kwargs):
    print("dead at", __import__("time").time(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
RUN = "from fairseq_cli.train import cli_main; cli_main()"
SECONDS = 60
"""In which the other one has to end: ten, and what a busy machine takes."""


def _lost_process(ended):
    """Return which process the last line of another says is gone."""
    found = LINE.fullmatch(ended.output.splitlines()[-1])
    assert found, ended.output[-3000:]
    return found.group(1)


@pytest.mark.slow
@pytest.mark.parametrize("dies", [0, 1])
@pytest.mark.parametrize(
    "where",
    [
        "fairseq_cli.train.tasks.setup_task",  # right after the processes have found each other
        "fairseq.trainer.Trainer.__init__",  # where torch sets up the group of the data
        "fairseq.trainer.Trainer.get_train_iterator",
        "fairseq.trainer.Trainer.train_step",
        "fairseq.trainer.Trainer.consolidate_optimizer",  # a checkpoint begins
    ],
)
def test_the_other_one_ends(data, tmp_path, where, dies):
    module, _, name = where.rpartition(".")
    program = f"{DIES}\nimport fairseq_cli.train, fairseq.trainer\n{module}.{name} = die\n{RUN}"
    port, arguments = free_port(), training(data, tmp_path, "--max-update=2")
    processes = [
        start([*arguments, *as_rank(rank, 2, port)], ["-c", program if rank == dies else RUN])
        for rank in range(2)
    ]
    ended = wait(processes, seconds=200)
    over = time.time()
    assert ended[dies].status == -9
    [died] = re.findall(r"dead at ([\d.]+)", ended[dies].output)
    assert over - float(died) < SECONDS
    other = ended[1 - dies]
    assert other.status == 1
    assert "Traceback" not in other.output
    assert _lost_process(other) == str(dies)


@pytest.mark.slow
def test_what_torch_leaves_undone_does_not_change_the_end(data, tmp_path):
    """Where its threads still wait for the one that is gone, it aborts while Python ends."""
    die = f"{DIES}\nimport fairseq.trainer\nfairseq.trainer.Trainer.train_step = die\n{RUN}"
    aborts = f"import atexit, os\natexit.register(os.abort)\n{RUN}"
    port, arguments = free_port(), training(data, tmp_path, "--max-update=2")
    processes = [
        start([*arguments, *as_rank(rank, 2, port)], ["-c", program])
        for rank, program in enumerate((die, aborts))
    ]
    _, other = wait(processes, seconds=200)
    assert other.status == 1
    assert _lost_process(other) == "0"


SLOW_TO_END = """
import atexit, gc, time
def end():
    import torch.distributed
    torch.distributed.destroy_process_group()
    gc.collect()
    time.sleep(15)
atexit.register(end)
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", SLOW_TO_END], ids=["at once", "slowly"])
def test_an_error_in_one_is_not_hidden(data, tmp_path, end):
    """What it prints is its own; the other one says which to look at."""
    port, arguments = free_port(), training(data, tmp_path, "--max-update=2")
    faulty = [*arguments, "--sampling-temperature=-1", *as_rank(0, 2, port)]
    processes = [
        start(faulty, ["-c", f"{end}\n{RUN}"]),
        start([*arguments, *as_rank(1, 2, port)]),
    ]
    faulty, other = wait(processes, seconds=200)
    assert "--sampling-temperature" in faulty.output.splitlines()[-1]
    assert _lost_process(other) == "0"


@pytest.mark.slow
def test_a_backend_that_there_is_not_is_told(data, tmp_path):
    """The one that fairseq has by default, which is for GPUs."""
    port, arguments = free_port(), training(data, tmp_path, "--max-update=2")
    of_gpus = [
        [one.replace("backend=gloo", "backend=nccl") for one in as_rank(rank, 2, port)]
        for rank in range(2)
    ]
    for rank, ended in enumerate(wait([start([*arguments, *own]) for own in of_gpus], 200)):
        assert ended.status == 1
        assert "Traceback" not in ended.output
        assert f"process {rank} of 2 has no way to the others (--distributed-b" in ended.output
