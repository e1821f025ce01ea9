"""Two processes against one that takes their batches in turn."""

import shutil
import socket
import subprocess
import sys

import pytest
from fairseq import checkpoint_utils

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import RECIPE, SMALL_MODEL, assert_same_tensors

OPTIONS = [
    "--max-update=9",
    "--differentiate-at=6",
    "--gradient-window=4",
    "--gradient-chunks=4",
    "--dropout=0",
    "--attention-dropout=0",
    "--activation-dropout=0",
    "--save-interval-updates=4",
]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def _as_one_and_as_two(train, data, folder, repo_root, *options):
    """Train in this process with two batches an update, and in two with one each."""
    one = train(
        folder / "one", "--update-freq=2", *options,
        f"--save-gradient-statistics={folder / 'one.npz'}",
    )  # fmt: skip
    outputs = _as_two(
        data, folder / "two", repo_root, *options,
        f"--save-gradient-statistics={folder / 'two.npz'}",
    )  # fmt: skip
    return one, outputs


def _as_two(data, folder, repo_root, *options):
    """Train in two processes; return what they print."""
    port = _free_port()
    program = "from fairseq_cli.train import cli_main; cli_main()"
    ranks = [
        subprocess.Popen(
            [
                sys.executable, "-W", "ignore", "-c", program, str(data),
                "--user-dir", str(repo_root / "fairseq_gist"), "--task=gist_speech_to_text",
                "--criterion=gist_label_smoothed_cross_entropy", *SMALL_MODEL, *RECIPE, *options,
                "--distributed-no-spawn", f"--distributed-rank={rank}",
                "--distributed-world-size=2", "--distributed-backend=gloo",
                f"--distributed-init-method=tcp://localhost:{port}",
                "--ddp-backend=legacy_ddp", f"--save-dir={folder}",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    outputs = [rank.communicate(timeout=300)[0] for rank in ranks]
    for rank, output in zip(ranks, outputs):
        assert rank.returncode == 0, output[-3000:]
    return outputs


def _assert_same_statistics(folder):
    single, double = (GradientStatistics.load(folder / f"{name}.npz") for name in ("one", "two"))
    assert (single.probe_tokens == double.probe_tokens).all()
    scale = abs(single.gram).max()
    difference = abs(single.gram - double.gram).max() / scale
    assert difference < 1e-4, f"inner products differ by {difference} of the largest"


@pytest.mark.slow
def test_two_processes_decide_and_train_like_one(train, data, tmp_path, repo_root):
    one, _ = _as_one_and_as_two(train, data, tmp_path, repo_root, *OPTIONS)
    _assert_same_statistics(tmp_path)
    states = [
        checkpoint_utils.load_checkpoint_to_cpu(str(path))["model"]
        for path in (one.checkpoint, tmp_path / "two" / "checkpoint_last.pt")
    ]
    assert plan_in_state(states[0]) == plan_in_state(states[1])
    for key, tensor in states[0].items():
        if key.endswith("_float_tensor"):  # fairseq 0.12.2 saves it, and never initialises it
            continue
        worst = (tensor.double() - states[1][key].double()).abs().max().item()
        assert worst < 1e-3, f"{key} differs by {worst}"


@pytest.mark.slow
def test_two_processes_share_held_out_data(train, data, tmp_path, repo_root):
    """Each measures its part, once; both decide on the whole."""
    held_out = ["--max-update=3", "--differentiate-at=2", "--gradients-from=multiway"]
    _, outputs = _as_one_and_as_two(
        train, data, tmp_path, repo_root, *held_out, "--gradient-chunks=4", *OPTIONS[4:7]
    )
    _assert_same_statistics(tmp_path)
    assert sum("gradients on multiway" in output for output in outputs) == 1


@pytest.mark.slow
def test_two_processes_go_on_as_two(train, data, tmp_path, repo_root):
    """In the middle of recording; a run of another number of processes is refused there."""
    split = ["--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4"]
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    _as_two(data, whole, repo_root, "--max-update=8", *split)
    _as_two(data, parted, repo_root, "--max-update=4", *split)
    shutil.copytree(parted, tmp_path / "one")
    _as_two(data, parted, repo_root, "--max-update=8", *split)
    own, other = (
        checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))["model"]
        for folder in (parted, whole)
    )
    assert not plan_in_state(own).is_shared
    assert_same_tensors(own, other)
    with pytest.raises(SystemExit, match="recording .* in 2 processes, and .* another in 1"):
        train(tmp_path / "one", "--max-update=8", *split)


@pytest.mark.slow
def test_two_processes_start_from_a_checkpoint(differentiated, data, tmp_path, repo_root):
    start = f"--finetune-from-model={differentiated.checkpoint}"
    outputs = _as_two(data, tmp_path, repo_root, start, "--max-update=1", "--lr=1e-9")
    tuned = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "checkpoint_last.pt"))["model"]
    assert plan_in_state(tuned) == plan_in_state(differentiated.load()["model"]), outputs[0][-500:]
