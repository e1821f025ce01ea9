"""A new corpus is one folder: the command offers it, and what it writes can be prepared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fairseq_gist import corpora
from fairseq_gist.cli.main import main

ADDED = Path(__file__).parent / "added"


@pytest.fixture(autouse=True)
def added(tmp_path, monkeypatch):
    """A place where the corpus's folder has been added."""
    monkeypatch.setattr(corpora, "__path__", [*corpora.__path__, str(ADDED)])
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop(f"{corpora.__name__}.tones")


def test_the_command_offers_it(capsys):
    with pytest.raises(SystemExit):
        main(["corpus", "--help"])
    assert "names of tones in two languages" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["corpus", "tones", "--help"])
    assert "--count N utterances of a split (default: 6)" in " ".join(
        capsys.readouterr().out.split()
    )


def test_it_is_built_and_prepared(caplog):
    caplog.set_level("INFO")
    assert main(["corpus", "tones", "out", "--count", "7"]) == 0
    assert "7 tones a split" in caplog.text
    assert main(["prepare", "out", "--vocab-size", "19", "--workers", "1"]) == 0
    rows = Path("out/fairseq/train.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 2 * 7


def test_another_run_finds_it_there_and_other_options_are_refused(capsys):
    assert main(["corpus", "tones", "out"]) == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")}
    assert main(["corpus", "tones", "out"]) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*")} == before
    assert main(["corpus", "tones", "out", "--count", "8"]) == 1
    assert "made with utterances 6, wanted 8; choose another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "found no JSON"),
        ('{"corpus": "tones", ', "found no JSON"),
        ("[]", "found JSON that is no object"),
        (json.dumps({"corpus": "tones", "utterances": "six"}), "found no 'utterances' as it has"),
    ],
)
def test_a_damaged_record_is_one_line(capsys, content, found):
    assert main(["corpus", "tones", "out"]) == 0
    Path("out/corpus.json").write_text(content, encoding="utf-8")
    capsys.readouterr()
    assert main(["corpus", "tones", "out"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "out/corpus.json: expected what a run of this command wrote" in error
    assert found in error
    assert "choose another folder or remove it" in error
