"""What a training log says of held-out data, as JSON."""

import json

import pytest

from fairseq_gist.cli.main import main
from tests.unit.report.test_training_log import SIMPLE, as_json

LOG = SIMPLE + (
    "2026-01-02 03:04:05 | INFO | dev_de | epoch 002 | valid on 'dev_de' subset | loss 7.1 | "
    "loss_de 7.9 | num_updates 150\n"
)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "train.log"
    path.write_text(LOG, encoding="utf-8")
    return path


def test_the_best_and_the_last_of_every_subset(log, tmp_path):
    assert main(["losses", str(log), "-o", str(tmp_path / "out.json")]) == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["differentiated"] == [60]
    own = found["subsets"]["dev_de"]
    assert own["best"] == own["last"] == {"update": 150, "loss": 7.1, "loss_de": 7.9}
    assert [point["update"] for point in own["all"]] == [50, 150]
    assert main(["losses", str(log), "--by=loss_de", "-o", str(tmp_path / "out.json")]) == 0
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["subsets"]["dev_de"]["best"]["update"] == 50


def test_what_others_were_where_one_subset_is_best(tmp_path, capsys):
    path = tmp_path / "train.log"
    line = "2026-01-02 03:04:05 | INFO | x | epoch 002 | valid on '{}' subset | loss {} "
    line += "| num_updates {}\n"
    numbers = [("dev", 3.0, 50), ("test", 2.0, 50), ("dev", 2.5, 100), ("test", 2.2, 100)]
    path.write_text(SIMPLE + "".join(line.format(*one) for one in numbers), encoding="utf-8")
    assert main(["losses", str(path), "--choose-on=dev"]) == 0
    subsets = json.loads(capsys.readouterr().out)["subsets"]
    assert subsets["test"]["best"] == {"update": 50, "loss": 2.0}
    assert subsets["test"]["chosen"] == {"update": 100, "loss": 2.2}
    assert subsets["dev"]["chosen"] == subsets["dev"]["best"]
    assert subsets["dev_de"]["chosen"] is None


def test_it_is_printed_where_no_file_is_named(log, capsys):
    assert main(["losses", str(log)]) == 0
    assert list(json.loads(capsys.readouterr().out)["subsets"]) == ["dev_de"]


def test_json_logs(tmp_path, capsys):
    path = tmp_path / "train.log"
    path.write_text(as_json(SIMPLE), encoding="utf-8")
    assert main(["losses", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["subsets"]["dev_de"]["last"]["loss_de"] == 7.841


@pytest.mark.parametrize(("text", "options", "message"), [
    ("nothing\n", [], "expected what fairseq-train printed, found nothing of a run"),
    (LOG, ["--by=loss_fr"], "no validation has 'loss_fr'; there are cos, "),
    ("\n".join(LOG.splitlines()[:2]), [], "no validation has 'loss'"),
    (LOG, ["--choose-on=dev"], "no validation on 'dev' has 'loss', only dev_de"),
    (LOG, ["-o", "train.log"], "that is an input, and would become losses of a run"),
])  # fmt: skip
def test_what_cannot_be_told(tmp_path, monkeypatch, capsys, text, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.log").write_text(text, encoding="utf-8")
    assert main(["losses", "train.log", *options]) == 1
    assert message in capsys.readouterr().err
    assert (tmp_path / "train.log").read_text(encoding="utf-8") == text
