"""The plugin being there changes nothing for stock tasks."""

import json
import subprocess
import sys

from tests.e2e.conftest import RECIPE, SMALL_MODEL


def _losses(data, folder, *extra):
    program = "from fairseq_cli.train import cli_main; cli_main()"
    arguments = [
        str(data), "--task=speech_to_text", "--criterion=label_smoothed_cross_entropy",
        *[option.replace("gist_", "") for option in SMALL_MODEL], *RECIPE,
        "--log-format=json", "--max-update=6", "--required-batch-size-multiple=1",
        f"--save-dir={folder}", *extra,
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [
        json.loads(line.split(" | ")[-1])
        for line in (done.stdout + done.stderr).splitlines()
        if "| INFO | train_inner |" in line
    ]
    assert len(rows) == 6
    timeless = ("wps", "ups", "train_wall", "wall", "epoch", "update")
    return [{k: v for k, v in row.items() if k not in timeless} for row in rows]


def test_a_stock_run_logs_the_same_with_and_without_the_plugin(data, tmp_path, repo_root):
    without = _losses(data, tmp_path / "without")
    present = _losses(data, tmp_path / "with", "--user-dir", str(repo_root / "fairseq_gist"))
    assert present == without
