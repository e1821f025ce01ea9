"""A disk that is full when statistics are saved: the run goes on, and splits, on every rank."""

import resource
import subprocess
import sys

import pytest

from tests.e2e.conftest import RECIPE, SMALL_MODEL
from tests.e2e.test_processes import _free_port

SPLIT = ["--differentiate-at=4", "--gradient-window=4", "--gradient-chunks=4", "--max-update=6"]


def limited():
    """Have files be no larger than a few lines, as on a disk without room for more."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_training_goes_on_and_splits(data, tmp_path, repo_root, ranks):
    program = "from fairseq_cli.train import cli_main; cli_main()"
    command = [
        sys.executable, "-W", "ignore", "-c", program, str(data),
        "--user-dir", str(repo_root / "fairseq_gist"), "--task=gist_speech_to_text",
        "--criterion=gist_label_smoothed_cross_entropy", *SMALL_MODEL, *RECIPE, *SPLIT,
        f"--save-gradient-statistics={tmp_path / 'statistics.npz'}", "--no-save",
        f"--save-dir={tmp_path / 'checkpoints'}", "--disable-validation",
    ]  # fmt: skip
    if ranks > 1:
        command += [
            "--distributed-no-spawn", f"--distributed-world-size={ranks}",
            "--distributed-backend=gloo", "--ddp-backend=legacy_ddp",
            f"--distributed-init-method=tcp://localhost:{_free_port()}",
        ]  # fmt: skip
    processes = [
        subprocess.Popen(
            [*command, *([f"--distributed-rank={rank}"] if ranks > 1 else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=limited,
        )
        for rank in range(ranks)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    for process, output in zip(processes, outputs):
        assert process.returncode == 0, output[-3000:]
    assert "statistics.npz wasn't written: " in outputs[0]
    assert "as the disk is full or a limit is reached: it needs " in outputs[0]
    assert "update 4: differentiated" in outputs[0]
    assert "num_updates=6" in outputs[0].replace("num_updates 6", "num_updates=6")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
