"""Errors at the edge to fairseq: one line for a user, all of it for who looks for the cause."""

import ast
import logging

import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError, GistError
from fairseq_gist.host.boundary import one_line_errors


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
    with pytest.raises(SystemExit):
        main(["show", missing])
    assert not caplog.records
    with pytest.raises(SystemExit):
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
