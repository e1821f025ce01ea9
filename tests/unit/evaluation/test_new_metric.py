"""A new metric is one file: everything that shows scores has it then."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.evaluation import metrics, read_all_scores
from fairseq_gist.report.chapters import chapters_of
from fairseq_gist.report.sources import find_content
from tests.unit.translations import GOOD, ROWS, write_manifest, write_output

COPIES = [ROWS[0][1], *GOOD[1:]]
"""One German sentence of three is the source."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with data and two systems, in a place where the metric's file has been added."""
    added = Path(__file__).parent / "added"
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(added)])
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path / "data", "tst", ROWS)
    write_output(tmp_path / "good", "tst", dict(enumerate(GOOD)), GOOD)
    write_output(tmp_path / "copying", "tst", dict(enumerate(COPIES)), GOOD)
    yield tmp_path
    sys.modules.pop(f"{metrics.__name__}.copied")


def score(*options):
    return main(["score", *options, "--bootstrap-samples", "50"])


def scored(*options):
    data = ("--data", "data", "--subset", "tst", "--metrics", "bleu,copied")
    return score("good=good", "copying=copying", *data, *options)


def test_tables_and_verdict_have_it(files, capsys):
    assert scored("--table", "t", "-o", "s.json", "--copied-from-length", "3") == 0
    printed = capsys.readouterr().out
    assert "16.7 copied % above it (p = " in printed
    text = Path("t.md").read_text(encoding="utf-8")
    table = text[text.index("| copied % ") :]
    assert "| good " in table
    assert "**0.0**" in table  # lower is better
    assert "33.3" in table
    assert "copied % from:3" in text
    assert "Lower is better in copied %." in text
    assert "copied \\%" in Path("t.tex").read_text(encoding="utf-8")
    with open("t.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "copied %"]
    found = {(row["system"], row["language"]): row["value"] for row in rows
             if row["quantity"] == "mean"}  # fmt: skip
    assert float(found["copying", "de"]) == pytest.approx(100 / 3)
    assert float(found["copying", "average"]) == pytest.approx(100 / 6)
    assert {row["quantity"] for row in rows} >= {"score", "difference", "p", "low", "high"}


def test_a_scores_file_brings_it_back(files, capsys):
    assert scored("--table", "a", "-o", "s.json", "--copied-from-length", "3") == 0
    assert score("good=s.json", "copying=s.json", "--table", "b") == 0
    for ending in ("md", "csv", "tex"):
        assert Path(f"a.{ending}").read_bytes() == Path(f"b.{ending}").read_bytes()
    (run, _) = read_all_scores(Path("s.json"))
    assert run.scores.by_metric["copied"].metric.options.from_length == 3

    capsys.readouterr()
    content = json.loads(Path("s.json").read_text(encoding="utf-8"))
    content["systems"][1]["metrics"]["copied"]["scores"]["de"] = 1.0
    Path("s.json").write_text(json.dumps(content), encoding="utf-8")
    assert score("good=s.json", "copying=s.json") == 1
    assert "copied % doesn't follow from the sentence statistics" in capsys.readouterr().err


def test_the_report_draws_it(files):
    pytest.importorskip("matplotlib")
    assert scored("-o", "s.json") == 0
    chapters = chapters_of(find_content([Path("s.json")], lambda _: None))
    names = [figure.name for chapter in chapters for figure in chapter.figures]
    assert "results-copied" in names


def test_the_command_offers_it(files, capsys):
    with pytest.raises(SystemExit):
        main(["score", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "'copied', translations that repeat the source" in shown
    assert "--copied-from-length N characters a translation has at least (default: 1)" in shown
    assert scored("--copied-from-length", "0") == 1
    assert "expected 1 or more, found 0" in capsys.readouterr().err
    data = ("--data", "data", "--subset", "tst")
    assert score("good=good", *data, "--copied-from-length", "2") == 1
    assert "--copied-from-length: copied is none of --metrics bleu, chrf" in capsys.readouterr().err
    assert not Path("scores.json").exists()


def test_without_it_its_scores_cannot_be_read(files, monkeypatch, capsys):
    assert scored("-o", "s.json") == 0
    monkeypatch.setattr(metrics, "__path__", metrics.__path__[:1])
    assert score("good=s.json") == 1
    assert "'copied' is none of the metrics bleu, chrf" in capsys.readouterr().err
