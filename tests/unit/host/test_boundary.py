"""Errors at the edge to fairseq: one line for a user, all of it for who looks for the cause."""

import ast
import logging
import sys

import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError, GistError
from fairseq_gist.host.boundary import one_line_errors, show_own_errors_in_one_line


def fail():
    with one_line_errors():
        raise DataError("train.tsv:\n  too short")


def test_an_error_becomes_one_line(caplog):
    with pytest.raises(SystemExit, match="^fairseq-gist: error: train.tsv: too short$") as caught:
        fail()
    assert isinstance(caught.value.__cause__, DataError)
    assert not caplog.records


def test_a_level_of_the_environment_asks_for_the_traceback(caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("LOGLEVEL", "debug")
    with pytest.raises(SystemExit):
        fail()
    assert "Traceback" in caplog.text
    assert "in fail" in caplog.text
    with pytest.raises((OSError, GistError)):
        main(["show", str(tmp_path / "no.json")])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("a row"), "a row"),
        (OSError("Model file not found: a.pt"), "--path: there is no checkpoint a.pt"),
        (IsADirectoryError(21, "Is a directory", "runs"), "runs is a folder, expected a file"),
        (AssertionError("--path required for generation!"), "--path: name the checkpoint to tr"),
        (ValueError("--finetune-from-model a.pt does not exist"), "--finetune-from-model a.pt do"),
        (ValueError("Seed must be between 0 and 2**32 - 1"), "--seed: expected a number between"),
        (ValueError("Seed"), None),
        (OSError("another"), None),
        (RuntimeError("Model file not found: a.pt"), None),
    ],
)
def test_what_a_user_has_to_know_is_one_line(monkeypatch, capsys, error, line):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    show_own_errors_in_one_line()
    sys.excepthook(type(error), error, None)
    told = capsys.readouterr().err
    if line is None:
        assert told == ""
        assert seen == [(type(error), error, None)]
    else:
        assert told.startswith(f"fairseq-gist: error: {line}")
        assert len(told.splitlines()) == 1
        assert not seen


@pytest.fixture
def _level_stays():
    ours = logging.getLogger("fairseq_gist")
    before = ours.level
    yield
    ours.setLevel(before)


@pytest.mark.usefixtures("_level_stays")
def test_a_command_shows_it_with_debug(monkeypatch, caplog, tmp_path, capsys):
    missing = str(tmp_path / "no.json")
    assert main(["show", missing]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    monkeypatch.setattr("fairseq_gist.cli.show.run", lambda _: fail())
    assert main(["show", missing]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fairseq-gist show: error: ")
    assert not caplog.records
    with pytest.raises(GistError):
        main(["--debug", "show", missing])
    assert "in fail" in caplog.text


def test_the_process_is_ended_at_the_edge_alone(repo_root):
    package = repo_root / "fairseq_gist"
    ending = [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and "SystemExit" in ast.dump(node)
    ]
    assert ending == ["host/boundary.py"]
