"""examples/table1: every system from one description, interrupted and gone on with."""

import csv
import json
import re
from pathlib import Path

import pytest

from fairseq_gist.cli.main import main as gist

TABLE1 = Path(__file__).parents[2] / "examples" / "table1"
SMALL = f"""
extends = "{TABLE1}/table1.toml"

[settings]
seeds = [1, 2]
seeded = ["shared"]
budgets = ["1.2"]
languages = ["de", "ro"]
shared_updates = 2
updates = 2
save_every = 1
average = 2
adapter_dim = 4
chunks = 4
bipartition_at = "1"
bipartition_budget = "1.3"

[options]
model = '''
--arch gist_s2t_transformer_xs --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 16
--decoder-embed-dim 16 --encoder-ffn-embed-dim 32 --decoder-ffn-embed-dim 32
--encoder-attention-heads 2 --decoder-attention-heads 2 --conv-channels 16
'''
generation = "--batch-size 100 --max-len-b 6"
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory):
    root = tmp_path_factory.mktemp("two")
    size = ["--size", "tiny", "--workers", "1"]
    assert gist(["corpus", "cldr", str(root), *size]) == 0
    out = root / "fairseq"
    options = ["--out", str(out), "--vocab-size", "120", "--workers", "1", "--languages", "de,ro"]
    assert gist(["prepare", str(root), *options]) == 0
    return out


def dry_run(capsys, *arguments):
    assert gist(["experiment", *map(str, arguments), "--dry-run"]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_systems_are_trained_one_after_another_and_compared(
    two_languages, small, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(TABLE1.parents[1]))
    out = tmp_path / "table1"
    command = ["experiment", str(small), "-o", str(out), "--set", f"data={two_languages}"]
    command += ["--only", "joint", "per-language", "gradient-1.2"]
    assert gist(command) == 0
    assert "== table: every system (seed 1)" in capsys.readouterr().out
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(row["system"] for row in rows)) == [
        "shared", "joint", "gradient-1.2", "per-language",
    ]  # fmt: skip
    pairs = {(row["system"], row["against"]) for row in rows if row["quantity"] == "p"}
    assert {("per-language", "joint"), ("gradient-1.2", "joint")} <= pairs
    assert ("joint", "joint") not in pairs
    runs = [
        json.loads(line) for line in (out / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    sizes = {(run["system"], run["seed"]): run["figures"]["parameters"] for run in runs}
    shared = sizes["shared", 1]
    assert sizes["joint", 1] == sizes["shared", 2] == shared
    assert sizes["per-language", 1] == 2 * shared
    assert shared < sizes["gradient-1.2", 1] <= 1.2 * shared
    assert len(runs) == len(sizes) == 5
    assert not list(out.glob("*/checkpoint*.pt"))

    # a second run makes only what is missing, and says the same table
    (out / "scores" / "joint-1.json").unlink()
    table = (out / "table.md").read_text(encoding="utf-8")
    logs = {path: path.stat().st_mtime_ns for path in out.glob("*/train.log")}
    assert gist(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/train.log")} == logs
    assert (out / "table.md").read_text(encoding="utf-8") == table
    assert len((out / "runs.jsonl").read_text(encoding="utf-8").splitlines()) == 5

    capsys.readouterr()
    assert gist([*command, "--set", "updates=3"]) == 1
    assert "was made otherwise: joint, seed 1: train" in capsys.readouterr().err


def test_a_dry_run_prints_every_system_and_writes_nothing(small, tmp_path, capsys):
    printed = dry_run(capsys, small, "-o", tmp_path / "table1")
    for name in ("bilingual", "adapters", "lna-ed", "bipartition", "query-key-value"):
        assert f"== {name}, seed 1" in printed
    assert "--differentiate-by bipartition --differentiate-at 1" in printed
    assert "--adapter-dim 4 --train-only adapters" in printed
    assert re.findall("^== (.*), seed 2: train", printed, re.MULTILINE) == ["shared"]
    assert not (tmp_path / "table1").exists()


def test_the_settings_for_mustc_are_the_paper_s(tmp_path, capsys):
    printed = dry_run(capsys, TABLE1 / "mustc.toml", "--set", "data=mustc")
    for option in (
        "--arch gist_s2t_transformer_m --max-tokens 40000 --update-freq 8",
        "--beam 5 --lenpen 0.6",
        "plan gradient --statistics",
        "--size-budget 190.6M",
        "--patience 10",
        "--adapter-dim 512",
    ):
        assert option in printed
    assert "gist prepare" not in printed
    assert gist(["experiment", str(TABLE1 / "mustc.toml"), "--dry-run"]) == 1
    assert "give --set data=...: the folder that examples/mustc" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--only", "best"], "--only: expected some of shared, joint"),
        (["--set", "start=nowhere.pt"], "expected files that no step makes, found none of"),
        (["--set", "updates=0"], "updates: expected a number from 1 on, found 0"),
        (["--set", "average=many"], "average: expected a whole number, found 'many'"),
        (["--jobs", "0"], "--jobs: expected how many to run at a time, found 0"),
    ],
)
def test_what_cannot_work_is_told(two_languages, small, tmp_path, capsys, changes, message):
    command = ["experiment", str(small), "-o", str(tmp_path / "out")]
    assert gist([*command, "--set", f"data={two_languages}", *changes]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
