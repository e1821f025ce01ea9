"""A report of a real run: what it logged, saw and decided, in two differentiations."""

import csv
import logging

import pytest

from fairseq_gist.cli.main import main as gist
from fairseq_gist.report.training_log import read_log
from fairseq_gist.sharing.plan import Step
from fairseq_gist.surgery.plan_buffer import plan_in_state


@pytest.fixture
def logged(tmp_path):
    """Let fairseq log into a file, as ``fairseq-train > train.log`` does."""
    handler = logging.FileHandler(tmp_path / "train.log")
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)s | %(name)s | %(message)s"))
    levels = {name: logging.getLogger(name).level for name in ("", "fairseq")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger().addHandler(handler)
    yield tmp_path / "train.log"
    logging.getLogger().removeHandler(handler)
    handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("log_format", ["simple", "json"])
def test_a_run_that_differentiated_twice(train, tmp_path, logged, log_format):
    run = train(
        tmp_path,
        "--max-update=9",
        "--differentiate-at=4,8",
        "--size-budget=1.2,1.8",
        "--gradient-window=4",
        "--gradient-chunks=4",
        "--save-interval-updates=5",
        f"--save-gradient-statistics={tmp_path / 's.npz'}",
        recipe_changes={"--log-format": log_format},
    )
    plan = plan_in_state(run.load()["model"])
    steps = plan.steps
    assert [step.update for step in steps] == [4, 8]
    assert steps[1] == Step(8, plan)
    assert plan.refines(steps[0].plan)

    log = read_log(logged, "train.log")
    assert log.moments == [4, 8]
    assert [update for update, _ in log.series("train_inner", "loss_de")] == list(range(1, 10))
    assert [update for update, _ in log.series("train_inner", "cos")] == list(range(4, 10))
    assert log.names("dev", "loss_de") == ["loss_de"]

    assert gist(["report", str(tmp_path), "-o", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    for title in (
        "Similarity of gradients, s-4.npz",
        "Similarity of gradients, s-8.npz",
        "Who shares what: checkpoint_last.pt",
        "How the plan came about: checkpoint_last.pt",
        "Similarity over training: train.log",
    ):
        assert title in page
    with open(tmp_path / "report" / "figures" / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["update"], row["is new"]) for row in rows} >= {("4", "True"), ("8", "True")}
