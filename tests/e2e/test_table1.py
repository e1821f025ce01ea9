"""examples/table1/run.sh: every system from one command, interrupted and gone on with."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_gist.cli.main import main as gist

RUN = Path(__file__).parents[2] / "examples" / "table1" / "run.sh"
SETTINGS = """
. "{cldr}"
prepare_data() {{ :; }}
model=(
  --arch gist_s2t_transformer_xs --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 16
  --decoder-embed-dim 16 --encoder-ffn-embed-dim 32 --decoder-ffn-embed-dim 32
  --encoder-attention-heads 2 --decoder-attention-heads 2 --conv-channels 16
)
generation=(--batch-size 100 --max-len-b 6)
"""
SMALL = {
    "SEEDS": "1 2",
    "SEEDED": "shared",
    "BUDGETS": "1.2",
    "SHARED_UPDATES": "2",
    "UPDATES": "2",
    "SAVE_EVERY": "1",
    "AVERAGE": "2",
    "ADAPTER_DIM": "4",
    "CHUNKS": "4",
    "BIPARTITION_AT": "1",
    "BIPARTITION_BUDGET": "1.3",
    "VALID": "dev_de,dev_ro",
}


@pytest.fixture(scope="module")
def two_languages(tmp_path_factory):
    root = tmp_path_factory.mktemp("two")
    size = ["--size", "tiny", "--workers", "1"]
    assert gist(["corpus", "cldr", str(root), *size]) == 0
    out = root / "fairseq"
    options = ["--out", str(out), "--vocab-size", "120", "--workers", "1", "--languages", "de,ro"]
    assert gist(["prepare", str(root), *options]) == 0
    settings = root / "settings.sh"
    settings.write_text(SETTINGS.format(cldr=RUN.parent / "cldr.sh"))
    return out, settings


def run(out, settings, data, **changes):
    environment = {**os.environ, **SMALL, "DATA": str(data), "OMP_NUM_THREADS": "1", **changes}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment["PYTHONPATH"] = str(RUN.parents[2])
    return subprocess.run(
        [str(RUN), str(out), str(settings)],
        env=environment, text=True, capture_output=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_systems_are_trained_one_after_another_and_compared(two_languages, tmp_path):
    data, settings = two_languages
    out = tmp_path / "table1"
    first = run(out, settings, data, ONLY="joint per-language random-1.2 gradient-1.2")
    assert first.returncode == 0, first.stdout + first.stderr
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        names = [row["system"] for row in csv.DictReader(file)]
    assert list(dict.fromkeys(names)) == [
        "shared", "joint", "random-1.2", "gradient-1.2", "per-language",
    ]  # fmt: skip
    counts = {
        path.name: json.loads(path.read_text())["systems"][0]["parameters"]
        for path in (out / "scores").glob("*.json")
    }
    shared = counts["shared-1.json"]
    assert counts["joint-1.json"] == counts["shared-2.json"] == shared
    assert counts["per-language-1.json"] == 2 * shared
    assert shared < counts["gradient-1.2-1.json"] <= 1.2 * shared
    assert not list(out.glob("*/checkpoint*.pt"))

    # a second run makes only what is missing, and says the same table
    (out / "scores" / "joint-1.json").unlink()
    seconds = (out / "seconds").read_text().splitlines()
    table = (out / "table.md").read_text()
    second = run(out, settings, data, ONLY="joint per-language random-1.2 gradient-1.2")
    assert second.returncode == 0, second.stdout + second.stderr
    assert [line.split()[0] for line in (out / "seconds").read_text().splitlines()] == [
        *[line.split()[0] for line in seconds], "joint",
    ]  # fmt: skip
    assert (out / "table.md").read_text() == table

    other = run(out, settings, data, UPDATES="3")
    assert other.returncode == 1
    assert "was made with other settings (above)" in other.stderr


def test_a_dry_run_prints_every_system_and_writes_nothing(two_languages, tmp_path):
    data, settings = two_languages
    result = run(tmp_path / "table1", settings, data, DRY_RUN="1")
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("bilingual", "adapters", "lna-ed", "bipartition", "query-key-value"):
        assert f"== {name}, seed 1" in result.stdout
    assert "--differentiate-by bipartition --differentiate-at 1" in result.stdout
    assert "--adapter-dim 4 --train-only adapters" in result.stdout
    assert not (tmp_path / "table1").exists()


def test_the_settings_for_mustc_are_the_paper_s(tmp_path):
    data = {"DATA": "mustc", "DRY_RUN": "1", "PATH": os.environ["PATH"]}
    data["PATH"] = f"{Path(sys.executable).parent}:{data['PATH']}"
    result = subprocess.run(
        [str(RUN), str(tmp_path / "table1"), str(RUN.parent / "mustc.sh")],
        env=data, text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for option in (
        "--arch gist_s2t_transformer_m --max-tokens 40000 --update-freq 8",
        "--beam 5 --lenpen 0.6",
        "plan gradient --statistics",
        "--size-budget 190.6M",
        "--patience 10",
        "--adapter-dim 512",
    ):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ONLY": "best"}, "ONLY: expected some of shared joint"),
        ({"START": "nowhere.pt"}, "START: there is no checkpoint nowhere.pt"),
        ({"SEEDS": "1,2"}, "SEEDS: expected numbers with spaces between, found '1,2'"),
        ({"BUDGETS": "large"}, "BUDGETS: expected sizes such as 2.5 or 190.6M"),
    ],
)
def test_what_cannot_work_is_told(two_languages, tmp_path, changes, message):
    data, settings = two_languages
    result = run(tmp_path / "table1", settings, data, **changes)
    assert result.returncode == 1
    assert message in result.stderr
    assert not (tmp_path / "table1").exists()


def test_a_setting_that_a_file_lacks_is_named(two_languages, tmp_path):
    data, _ = two_languages
    settings = tmp_path / "settings.sh"
    settings.write_text("SEEDS=1\n")
    result = run(tmp_path / "table1", settings, data, DRY_RUN="1")
    assert result.returncode == 1
    assert f"the settings {settings} don't set PATIENCE" in result.stderr


def test_equal_settings_are_equal_wherever_they_come_from(two_languages, tmp_path):
    data, settings = two_languages
    out = tmp_path / "table1"
    settings_of = tmp_path / "settings.sh"
    settings_of.write_text(f'. "{settings}"\nprepare_data() {{ exit 0; }}\n')
    assert run(out, settings_of, data).returncode == 0  # by the environment
    facts = (out / "settings").read_text()
    settings_of.write_text(f"declare +x CHUNKS UPDATES\n{settings_of.read_text()}")
    for folder in (out, f"{out}/"):
        result = run(folder, settings_of, data)
        assert result.returncode == 0, result.stderr
        assert (out / "settings").read_text() == facts
