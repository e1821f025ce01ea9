"""``fairseq-gist average``: which checkpoints of a folder are meant."""

from __future__ import annotations

import shutil
from argparse import Namespace

import pytest
import torch

from fairseq_gist.cli.main import main
from fairseq_gist.host.checkpoints import read_checkpoint


@pytest.fixture
def folder(tmp_path):
    """Checkpoints whose one parameter is the number of updates."""
    made = tmp_path / "model"
    made.mkdir()
    for name, value in {
        "checkpoint_1_20": 20.0,
        "checkpoint_2_100": 100.0,
        "checkpoint_2_80": 80.0,
        "checkpoint9": 90.0,
        "checkpoint10": 120.0,
        "checkpoint_best": 1.0,
        "checkpoint_last": 130.0,
    }.items():
        content = {"model": {"w": torch.tensor([value])}, "args": Namespace(arch="x"), "cfg": None}
        torch.save(content, made / f"{name}.pt")
    return made


def averaged(folder, *options):
    out = folder / "average.pt"
    assert main(["average", str(folder), *options, "-o", str(out)]) == 0
    return read_checkpoint(str(out))["model"]["w"].item()


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (["--num-update-checkpoints", "2"], (100 + 130) / 2),
        (["--num-update-checkpoints", "9"], (20 + 80 + 100 + 130) / 4),
        (["--num-epoch-checkpoints", "1"], 120),
        (["--num-epoch-checkpoints", "5"], (90 + 120) / 2),
    ],
)
def test_the_last_ones_of_a_folder(folder, options, value):
    assert averaged(folder, *options) == value


def test_the_last_checkpoint_counts_once(folder):
    shutil.copy(folder / "checkpoint_2_100.pt", folder / "checkpoint_last.pt")
    assert averaged(folder, "--num-update-checkpoints", "2") == (80 + 100) / 2


def test_where_no_epoch_has_ended_the_last_checkpoint_is_taken(folder):
    for path in folder.glob("checkpoint[0-9]*.pt"):
        path.unlink()
    assert averaged(folder, "--num-epoch-checkpoints", "3") == 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "is a folder; --num-epoch-checkpoints or --num-update-checkpoints says which"),
        (
            ["--num-update-checkpoints", "0"],
            "--num-update-checkpoints: expected 1 or more, found 0",
        ),
        (
            ["elsewhere", "--num-epoch-checkpoints", "1"],
            "--num-epoch-checkpoints: expected one folder",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(folder, capsys, options, message):
    assert main(["average", str(folder), *options, "-o", str(folder / "average.pt")]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_checkpoints(tmp_path, capsys):
    assert (
        main(["average", str(tmp_path), "--num-epoch-checkpoints", "1", "-o", f"{tmp_path}/x"]) == 1
    )
    assert f"{tmp_path} has no checkpoints to average" in capsys.readouterr().err
