"""fairseq's logs, in the formats that have numbers line by line."""

from __future__ import annotations

import json

import pytest

from fairseq_gist.report.training_log import read_log

STAMP = "2026-01-02 03:04:05"

SIMPLE = f"""\
{STAMP} | INFO | fairseq_cli.train | {{'task': {{'data': 'x'}}}}
{STAMP} | INFO | train_inner | epoch 001:     50 / 150 loss=8.045, loss_de=8.8, ppl=242.21, \
cos=0.12, num_updates=50, lr=0.0005, gnorm=nan, wall=15
{STAMP} | INFO | dev_de | epoch 001 | valid on 'dev_de' subset | loss 7.3 | loss_de 7.841 | \
num_updates 50
{STAMP} | INFO | fairseq_gist.training.differentiation | update 60: differentiated
unit  copies
{STAMP} | INFO | train_inner | epoch 001:    100 / 150 loss=7.5, loss_de=8.1, cos=0.2, \
num_updates=100, lr=0.001
{STAMP} | INFO | train | epoch 001 | loss 7.7 | cos_de_es 0.3 | num_updates 150 | lr 0.001
"""


def as_json(text):
    """Return the same log in fairseq's other format."""
    lines = []
    for logger, content in (
        ("train_inner", {"epoch": 1, "loss": "8.045", "loss_de": "8.8", "ppl": "242.21",
                         "cos": "0.12", "num_updates": "50", "lr": "0.0005", "gnorm": "nan",
                         "wall": "15"}),
        ("dev_de", {"epoch": 1, "dev_de_loss": "7.3", "dev_de_loss_de": "7.841",
                    "dev_de_num_updates": "50"}),
        ("train_inner", {"epoch": 1, "loss": "7.5", "loss_de": "8.1", "cos": "0.2",
                         "num_updates": "100", "lr": "0.001"}),
        ("train", {"epoch": 1, "train_loss": "7.7", "train_cos_de_es": "0.3",
                   "train_num_updates": "150", "train_lr": "0.001"}),
    ):  # fmt: skip
        lines.append(f"{STAMP} | INFO | {logger} | {json.dumps(content)}")
    lines.insert(2, next(line for line in text.splitlines() if "differentiated" in line))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [SIMPLE, as_json(SIMPLE)], ids=["simple", "json"])
def test_both_formats_say_the_same(tmp_path, text):
    path = tmp_path / "train.log"
    path.write_text(text, encoding="utf-8")
    log = read_log(path, "a run")
    assert log.label == "a run"
    assert log.moments == [60]
    assert log.series("train_inner", "cos") == [(50, 0.12), (100, 0.2)]
    assert log.series("train_inner", "gnorm") == []
    assert log.series("dev_de", "loss_de") == [(50, 7.841)]
    assert log.series("train", "cos_de_es") == [(150, 0.3)]
    assert log.validation_subsets == ["dev_de"]
    assert log.names("train_inner", "loss") == ["loss", "loss_de"]


def test_what_a_resumed_run_did_again_counts_once(tmp_path):
    path = tmp_path / "train.log"
    again = SIMPLE.replace("cos=0.2", "cos=0.25")
    path.write_text(SIMPLE + "Traceback (most recent call last):\n" + again, encoding="utf-8")
    log = read_log(path, "a run")
    assert log.series("train_inner", "cos") == [(50, 0.12), (100, 0.25)]
    assert log.moments == [60]


@pytest.mark.parametrize("text", ["", "nothing\n", f"{STAMP} | INFO | fairseq_cli.train | done\n"])
def test_other_logs_are_none(tmp_path, text):
    path = tmp_path / "other.log"
    path.write_text(text, encoding="utf-8")
    assert read_log(path, "other") is None


def test_bytes_that_are_no_text_do_no_harm(tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes(b"\xff\xfe\x00\n" + SIMPLE.encode())
    assert read_log(path, "x").moments == [60]
