"""Checkpoints that older versions of stock fairseq wrote: read, rewritten, trained on."""

import subprocess
import sys
from argparse import Namespace
from collections import OrderedDict

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.logging.meters import AverageMeter, TimeMeter

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.host.unpickling import names_in
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import SMALL_MODEL, assert_same_tensors
from tests.e2e.test_checkpoints import GENERATE, fairseq, hypotheses

ALLOWED_ALONE = """
import sys, torch
from fairseq_gist.host.checkpoints import allow_own_checkpoints
allow_own_checkpoints()
torch.load(sys.argv[1])
"""
LANGUAGES = "de,es,fr,it,nl,pt,ro,ru"
STOCK = [option.replace("gist_", "") for option in SMALL_MODEL]


@pytest.fixture(scope="module")
def stock(train, tmp_path_factory):
    """A run of stock fairseq, task and all."""
    options = ["--task=speech_to_text", "--criterion=label_smoothed_cross_entropy"]
    return train(tmp_path_factory.mktemp("stock"), *options, "--max-update=2", model=STOCK)


def before_configurations(content):
    """Of fairseq 0.9: one ``args``, numbers of numpy, and meters as they were in memory."""
    meter = AverageMeter()
    meter.update(2.5)
    settings = dict(vars(content["cfg"]["model"]))
    settings.update(seed=np.int64(1), lr=[np.float64(2e-3)], dropout=np.float64(0.1))
    extra = {**content["extra_state"], "val_loss": np.float64(2.0), "best": np.float64(2.0)}
    extra["train_meters"] = OrderedDict(train_loss=meter, wps=TimeMeter())
    return {**content, "args": Namespace(**settings), "cfg": None, "extra_state": extra}


def of_omegaconf(content):
    """Of fairseq 0.10: settings as the objects that fairseq works with."""
    return content


@pytest.fixture(scope="module", params=[before_configurations, of_omegaconf])
def old(request, stock, tmp_path_factory):
    content = checkpoint_utils.load_checkpoint_to_cpu(str(stock.checkpoint))
    path = tmp_path_factory.mktemp("old") / "old.pt"
    torch.save(request.param(content), path)
    return path


@pytest.fixture(scope="module")
def applied(old):
    """The old checkpoint, split by a plan."""
    plan, split = old.with_name("plan.json"), old.with_name("split.pt")
    source = ["--checkpoint", str(old), "--languages", LANGUAGES]
    decide = ["plan", "random", *source, "--size-budget=1.5", "--plan-seed=3"]
    assert gist([*decide, "-o", str(plan)]) == 0
    assert gist(["apply", str(old), str(plan), "-o", str(split)]) == 0
    return split


def test_every_command_reads_it(old, stock, tmp_path, data, capsys):
    average, statistics = tmp_path / "average.pt", tmp_path / "statistics.npz"
    assert gist(["show", str(old)]) == 1
    assert "it was never differentiated" in capsys.readouterr().err
    assert gist(["average", str(old), "-o", str(average)]) == 0
    assert_same_tensors(read_checkpoint(str(average))["model"], dict(stock.load()["model"]))
    record = ["record", str(old), str(data), "--subset=dev", "--cpu", "--gradient-chunks=4"]
    assert gist([*record, "-o", str(statistics)]) == 0


def test_what_apply_writes_is_plain(applied):
    with open(applied, "rb") as file:
        names = {name for name in names_in(file) if not name.startswith("torch.")}
    assert names == {"argparse.Namespace", "collections.OrderedDict"}
    if torch.__version__ >= (2, 6):  # what the plugin allows beside torch, whoever loads
        done = subprocess.run(
            [sys.executable, "-c", ALLOWED_ALONE, str(applied)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]


def test_fairseq_translates_with_what_apply_writes(applied, old, data, tmp_path, repo_root):
    common = [data, *GENERATE, "--gen-subset=tst-COMMON_de", "--task=gist_speech_to_text"]
    for name, path in (("old", old), ("split", applied)):
        done = fairseq(
            "generate", *common, f"--path={path}", f"--results-path={tmp_path / name}",
            plugin=repo_root / "fairseq_gist",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path / "old")) == 8
    assert hypotheses(tmp_path / "old") == hypotheses(tmp_path / "split")


def test_training_goes_on_from_it(train, applied, old, tmp_path):
    split = train(tmp_path / "split", f"--finetune-from-model={applied}", "--max-update=1")
    shared = train(tmp_path / "shared", f"--finetune-from-model={old}", "--max-update=1")
    assert plan_in_state(split.load()["model"]) is not None
    assert split.steps[0].loss == pytest.approx(shared.steps[0].loss, rel=1e-5)


def test_an_exported_one_needs_no_plugin(applied, data, tmp_path):
    exported = tmp_path / "de.pt"
    code = gist(["export", str(applied), "--language=de", "-o", str(exported)])
    if read_checkpoint(str(applied))["cfg"] is None:
        assert code == 1
        return
    assert code == 0
    done = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON_de", "--task=speech_to_text",
        f"--path={exported}", f"--results-path={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
