"""When a loss was reached: on logs of which it is known."""

import json

import pytest

from fairseq_gist.errors import DataError
from tests.scripts import script

reached = script("examples/time_to_loss/reached.py")


def log(folder, losses, seconds):
    """Write what fairseq-train prints, with a validation every 50 updates."""
    folder.mkdir()
    lines = []
    for index, loss in enumerate(losses, start=1):
        update = 50 * index
        lines += [
            f"2026-01-01 10:00:00 | INFO | train_inner | epoch 001:     {update} / 900 loss=2, "
            f"nll_loss=1, num_updates={update}, train_wall={seconds}, wall=9999",
            f"2026-01-01 10:00:00 | INFO | valid | epoch 001 | valid on 'dev' subset | loss 9 | "
            f"nll_loss {loss} | num_updates {update}",
        ]
    (folder / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "train.log"


@pytest.fixture
def logs(tmp_path):
    return [
        log(tmp_path / "stock-1", [8, 6, 5, 4], seconds=40),
        log(tmp_path / "multiway-1", [8, 6, 5, 4], seconds=10),
        log(tmp_path / "better-1", [6, 2, 1, 1], seconds=20),
        log(tmp_path / "worse-1", [9, 8, 7, 6], seconds=1),
    ]


def test_times_to_the_reference_s_losses(logs, tmp_path, capsys):
    out = tmp_path / "reached.json"
    assert reached.main([*map(str, logs), "-o", str(out)]) == 0
    rows = json.loads(out.read_text(encoding="utf-8"))
    assert [row["loss"] for row in rows] == [8, 6, 5, 4]
    last = rows[-1]["trainings"]
    assert last["multiway-1"]["times_fewer_seconds"] == pytest.approx(4)
    assert last["multiway-1"]["times_fewer_updates"] == pytest.approx(1)
    assert last["better-1"]["updates"] == pytest.approx(75)  # half way from 6 to 2
    assert last["better-1"]["seconds"] == pytest.approx(30)
    assert last["worse-1"] is None
    assert "not reached" in capsys.readouterr().out


def test_a_loss_that_rises_again_is_not_the_target(tmp_path):
    places = reached.places_in(log(tmp_path / "stock-1", [8, 4, 5, 6], seconds=40))
    (*_, row) = reached.compared({"stock-1": places}, "stock-1")
    assert row["loss"] == 4
    assert row["trainings"]["stock-1"]["updates"] == 100


def test_a_share_before_the_first_validation_is_left_out(tmp_path):
    places = reached.places_in(log(tmp_path / "stock-1", [8, 4], seconds=40))
    rows = reached.compared({"stock-1": places}, "stock-1")
    assert [row["share"] for row in rows] == [0.5, 0.75, 1.0]


def test_what_is_no_log(tmp_path, capsys):
    (tmp_path / "train.log").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(DataError, match="expected what fairseq-train printed"):
        reached.places_in(tmp_path / "train.log")
    assert reached.main([str(tmp_path / "train.log"), "-o", str(tmp_path / "out.json")]) == 1
    assert "train.log" in capsys.readouterr().err


def test_trainings_of_less_than_a_second_are_told_so(logs, tmp_path, capsys):
    short = log(tmp_path / "short-1", [8, 6, 5, 4], seconds=0)
    out = tmp_path / "reached.json"
    assert reached.main([*map(str, logs), str(short), "-o", str(out)]) == 1
    line = "short-1: expected seconds of training before loss 8, found 0 in its log"
    assert line in capsys.readouterr().err
    assert not out.exists()
