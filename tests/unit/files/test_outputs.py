"""What a command may write over: no input, and no file of another kind."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from fairseq_gist.cli.main import main
from fairseq_gist.corpora.base import making
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files.outputs import CHECKPOINT, PLAN, SCORES, STATISTICS, TABLE, check_output
from fairseq_gist.preparing.making import Making
from fairseq_gist.preparing.preparation import _WRITES
from tests.regression.test_files import OURS

WRITTEN = Path(OURS)
FILES = {
    CHECKPOINT: "shared.pt",
    STATISTICS: "whole.npz",
    PLAN: "plan.json",
    SCORES: "scores.json",
    TABLE: "table.csv",
}
"""One of each kind, as an earlier release wrote it."""


@pytest.fixture
def place(tmp_path):
    """A folder with files of every kind, and others."""
    for name in ("shared.pt", "differentiated.pt", "whole.npz", "scores.json"):
        shutil.copy(WRITTEN / name, tmp_path / name)
    plan = sorted(WRITTEN.glob("plans/*.json"))[0]
    shutil.copy(plan, tmp_path / "plan.json")
    content = torch.nn.Linear(1, 1).state_dict()
    torch.save(content, tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "notes.md").write_text("# Notes\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text("a: b\n", encoding="utf-8")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    (tmp_path / "broken.pt").write_bytes((WRITTEN / "shared.pt").read_bytes()[:999])
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def test_what_cannot_become_a_file_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OptionError, match="-o .*: that is a folder; name a file"):
        check_output(tmp_path, kind=PLAN)
    with pytest.raises(OptionError, match="-o : that is a folder; name a file"):
        check_output("", kind=PLAN)
    with pytest.raises(OptionError, match="--table .*file is a file, not a folder"):
        check_output(tmp_path / "file" / "below" / "it", "--table", kind=TABLE)
    check_output(tmp_path / "file", kind=PLAN)
    check_output(tmp_path / "new" / "folder" / "file", kind=PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OptionError, match="can't write in"):
        check_output(tmp_path / "file", kind=PLAN)
    tmp_path.chmod(0o700)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refused(path, **options):
    try:
        check_output(path, **options)
    except OptionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", [CHECKPOINT, STATISTICS, PLAN, SCORES])
def test_a_file_is_written_over_by_its_own_kind_alone(place, kind):
    may = {path.name for path in place.iterdir() if not refused(path, kind=kind)}
    own = {CHECKPOINT: {"shared.pt", "differentiated.pt", "legacy.pt"}}
    assert may == {"empty", *own.get(kind, {FILES[kind]})}
    assert not any(refused(path, kind=kind, force=True) for path in place.iterdir())


def test_the_refusal_says_what_is_there_and_what_to_do(place):
    assert refused(place / "shared.pt", kind=PLAN) == (
        f"-o {place / 'shared.pt'}: that is a checkpoint, and would become a sharing plan; name "
        "another file, or add --force"
    )
    assert refused(place / "notes.md", option="--table", kind=TABLE, force=None) == (
        f"--table {place / 'notes.md'}: that is another file, and would become a table of scores; "
        "name another file"
    )
    assert "that is a damaged archive" in refused(place / "broken.pt", kind=STATISTICS)


def test_an_input_is_known_by_whatever_name(place, monkeypatch):
    (place / "link.pt").symlink_to(place / "shared.pt")
    os.link(place / "shared.pt", place / "hard.pt")
    monkeypatch.chdir(place)
    for name in ("shared.pt", "./shared.pt", f"../{place.name}/shared.pt", "link.pt", "hard.pt"):
        told = refused(name, kind=CHECKPOINT, inputs=[None, "missing", place / "shared.pt"])
        assert "that is an input, and would become a checkpoint" in told
    assert not refused("differentiated.pt", kind=CHECKPOINT, inputs=["shared.pt"])


COMMANDS = {
    "export": "export differentiated.pt --language de -o differentiated.pt",
    "export over another kind": "export differentiated.pt --language de -o plan.json",
    "apply over the checkpoint": "apply shared.pt plan.json -o shared.pt",
    "apply over the plan": "apply shared.pt plan.json -o plan.json",
    "average": "average shared.pt -o shared.pt",
    "average over statistics": "average shared.pt -o whole.npz",
    "record": "record shared.pt nowhere -o shared.pt",
    "plan over a checkpoint": (
        "plan random --checkpoint shared.pt --languages de,es,ru -o shared.pt"
    ),
    "plan over its limit": (
        "plan random --checkpoint shared.pt --languages de,es,ru --within plan.json -o plan.json"
    ),
    "plan over statistics": "plan gradient --statistics whole.npz -o whole.npz",
    "plan over a configuration": "plan gradient --statistics whole.npz -o config.yaml",
    "score": "score one=scores.json -o scores.json",
    "score over another kind": "score one=scores.json -o plan.json",
    "score's table": "score one=scores.json --table notes",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_loses_an_input_or_a_file_of_another_kind(place, monkeypatch, capsys, command):
    monkeypatch.chdir(place)
    before = contents(place)
    assert main(COMMANDS[command].split()) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "and would become" in error
    assert "name another file, or add --force" in error
    assert contents(place) == before


def test_who_says_so_may_write_over_anything(place, monkeypatch):
    monkeypatch.chdir(place)
    assert main(["average", "shared.pt", "-o", "shared.pt", "--force"]) == 0
    assert (
        main(["plan", "gradient", "--statistics", "whole.npz", "-o", "config.yaml", "--force"]) == 0
    )
    assert set(json.loads((place / "config.yaml").read_text(encoding="utf-8"))) >= {
        "languages",
        "units",
    }


def test_what_a_command_wrote_is_written_again(place, monkeypatch):
    monkeypatch.chdir(place)
    for _ in range(2):
        assert main(["plan", "gradient", "--statistics", "whole.npz", "-o", "new.json"]) == 0
        assert main(["average", "shared.pt", "-o", "new.pt"]) == 0
        assert main(["score", "one=scores.json", "-o", "new-scores.json", "--table", "new"]) == 0
    assert {"new.md", "new.csv", "new.tex"} <= set(contents(place))


@pytest.mark.parametrize("there", ["en-de/data/train/wav", "fr-en/data/dev/txt"])
def test_a_corpus_is_not_written_among_another(tmp_path, capsys, there):
    (tmp_path / there).mkdir(parents=True)
    (tmp_path / there / "talk").write_text("mine", encoding="utf-8")
    assert main(["corpus", "cldr", str(tmp_path), "--size=tiny", "--workers=1"]) == 1
    assert "holds other files; expected a new folder" in capsys.readouterr().err
    with pytest.raises(DataError, match=f"{there} is there, which this command didn't make"):
        making(tmp_path).begin({})
    assert contents(tmp_path) == {}
    assert (tmp_path / there / "talk").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["train.tsv", "config_st.yaml", "fbank80.zip", "spm_x.model"])
def test_data_are_not_prepared_over_others(tmp_path, name):
    make = Making(tmp_path, "prepare.json", "prepared", "choose another --out", _WRITES)
    (tmp_path / "notes.txt").write_text("beside it there may be anything", encoding="utf-8")
    make.begin({"a": 1})
    (tmp_path / name).write_text("ours, unfinished", encoding="utf-8")
    make.begin({"a": 1})
    make.sweep()
    with pytest.raises(DataError, match=f"{name} is there, which this command didn't make and wou"):
        make.begin({"a": 1})
    assert not make.work.exists()
