"""examples/low_resource: from data in several spoken languages to a table of systems."""

import csv
import json
import re
from pathlib import Path

import pytest

from fairseq_gist.cli.main import main as gist
from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.conftest import SMALL_MODEL

RECIPE = Path(__file__).parents[2] / "examples" / "low_resource"
SYSTEMS = [
    "unified", "gdps", "gdps-random", "gdps-25", "gdps-50", "gdps-75", "gdps-2-groups",
    "gdps-without-a", "gdps-without-c",
]  # fmt: skip
MODEL = " ".join(["--arch=gist_s2t_conformer", *SMALL_MODEL[1:], "--depthwise-conv-kernel-size=7"])
SMALL = f"""
extends = "{RECIPE}/cldr.toml"

[settings]
languages = ["de", "es", "ru"]
seeds = [1, 2]
seeded = ["unified"]
base_updates = 2
updates = 2
save_every = 1
average = 2
chunks = 4

[options]
model = "{MODEL}"
generation = "--batch-size 100 --max-len-a 0 --max-len-b 6"
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def surroundings(monkeypatch):
    """The package of this checkout, one thread a process."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(RECIPE.parents[1]))


def dry_run(capsys, name, out, *changes):
    command = ["experiment", str(RECIPE / name), "-o", str(out), "--dry-run", *changes]
    assert gist(command) == 0
    return capsys.readouterr().out


def records(out):
    lines = (out / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    return {(run["system"], run["seed"]): run for run in map(json.loads, lines)}


# ---------------------------------------------------------------------------------- the whole chain
@pytest.mark.slow
def test_systems_are_trained_from_one_model_and_compared(
    spoken, small, tmp_path, surroundings, capsys
):
    out = tmp_path / "low-resource"
    command = ["experiment", str(small), "-o", str(out), "--set", f"data={spoken}", "--jobs", "2"]
    command += ["--only", "unified", "gdps", "gdps-random"]
    assert gist(command) == 0
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["system"] for row in rows))
    assert names == ["base", "unified", "gdps", "gdps-random"]
    assert {row["metric"] for row in rows if row["metric"]} == {"BLEU", "chrF++"}
    compared = {(row["system"], row["against"]) for row in rows if row["quantity"] == "p"}
    assert ("gdps", "unified") in compared
    assert ("gdps", "gdps-random") in compared
    table = (out / "seeds.md").read_text(encoding="utf-8")
    assert re.search(r"^\| unified +\| +2 \|", table, re.MULTILINE)
    assert "gdps" not in table

    sizes = {run: line["figures"]["parameters"] for run, line in records(out).items()}
    base = sizes["base", 1]
    assert sizes["unified", 1] == sizes["base", 2] == base
    assert sizes["gdps-random", 1] == sizes["gdps", 1]
    if not SharingPlan.load(out / "gdps-1" / "plan.json").divisions:
        assert "- gdps, seed 1: shares everything" in (out / "table.md").read_text(encoding="utf-8")
    assert (out / "report" / "index.html").is_file()
    assert "== what gdps decided, seed 1" in capsys.readouterr().out
    assert not list(out.glob("*/checkpoint*.pt"))

    # a second run makes only what is missing, and the same of it
    table = (out / "table.md").read_text(encoding="utf-8")
    logs = {path: path.stat().st_mtime_ns for path in out.glob("*/train.log")}
    (out / "scores" / "unified-1.json").unlink()
    assert gist(command) == 0
    assert (out / "table.md").read_text(encoding="utf-8") == table
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/train.log")} == logs

    assert gist([*command, "--set", "updates=3"]) == 1
    assert "was made otherwise" in capsys.readouterr().err


# ------------------------------------------------------------------------------- without training
def test_a_dry_run_prints_every_step_and_writes_nothing(small, tmp_path, capsys):
    out = tmp_path / "low-resource"
    printed = dry_run(capsys, small, out)
    for name in ("base", *SYSTEMS):
        assert f"== {name}, seed 1: train" in printed
    assert re.findall("^== (.*), seed 2: train", printed, re.MULTILINE) == ["base", "unified"]
    for part in (
        f"record {out}/base-1/average.pt {out}/data --language-key src --neurons "
        "--subset multiway --gradient-chunks 4",
        f"plan gdps --statistics {out}/statistics-1.npz -o {out}/gdps-1/plan.json",
        f"plan gdps-random --statistics {out}/statistics-1.npz --plan-seed 1 -o",
        "--gdps-shared 0.25",
        "--gdps-groups 2",
        "--gdps-groups each",
        "--gdps-own agreement",
        f"--finetune-from-model {out}/base-1/average.pt --sharing-plan {out}/gdps-50-1/plan.json",
        "--language-key src --chrf-word-order 2",
        f"report {out}/statistics-1.npz",
    ):
        assert part in printed
    unified = printed.split("== unified, seed 1: train")[1].split("==")[0]
    assert f"--finetune-from-model {out}/base-1/average.pt" in unified
    assert "--sharing-plan" not in unified
    assert not out.exists()


def test_the_settings_for_the_paper_s_languages(tmp_path, capsys):
    out = tmp_path / "iwslt"
    printed = dry_run(capsys, "iwslt.toml", out, "--set", f"corpus={tmp_path}")
    for part in (
        f"prepare {tmp_path} --out {out}/data --target en --languages aeb,bem,est,gle",
        "3 of at most 11.0 GPU hours each (base); 9 of at most 2.2 GPU hours each (unified,",
        "--arch gist_s2t_conformer --encoder-layers 12",
        r"--units 'encoder\.conformer_layers\.11\.ffn2\..*'",
        "--subset dev",
        "--valid-subset dev_aeb,dev_bem,dev_est,dev_gle",
        "--patience 10",
        "--gen-subset test",
    ):
        assert part in printed
    command = ["experiment", str(RECIPE / "iwslt.toml"), "-o", str(out)]
    assert gist([*command, "--set", f"corpus={tmp_path}"]) == 1
    missing = "expected files that no step makes, found none of 36: "
    assert f"{missing}{tmp_path}/aeb-en/data/train/txt/train.yaml (prepare)" in (
        capsys.readouterr().err
    )
    assert gist(command) == 1
    assert "give --set corpus=...: the folder with the corpora" in capsys.readouterr().err
    assert not out.exists()


def test_a_base_that_is_given_costs_nothing(tmp_path, capsys):
    changes = ["--set", f"corpus={tmp_path}", "start=given.pt"]
    printed = dry_run(capsys, "iwslt.toml", tmp_path / "out", *changes)
    assert "TFLOPS: 9 of at most 2.2 GPU hours" in printed
    assert "== base, seed 1: train" not in printed
    assert "== base, seed 1: score" in printed
    assert "--finetune-from-model given.pt" in printed


def test_the_paper_s_own_model(tmp_path, capsys):
    out, folder = tmp_path / "seamless", tmp_path / "hf-seamless-m4t-medium"
    given = ["--set", f"corpus={tmp_path}", f"seamless={folder}"]
    printed = dry_run(capsys, "seamless.toml", out, *given)
    lines = [line for line in printed.splitlines() if f"--seamless-path {folder}" in line]
    training = [line for line in lines if line.startswith("fairseq-train")]
    assert len(training) == 3 + 3 * 3
    assert all("--arch gist_seamless_m4t" in line for line in training)
    assert all("--ignore-prefix-size 1" in line for line in training)
    translating = [line for line in lines if line.startswith("fairseq-generate")]
    assert len(translating) == len(training)
    assert all("--prefix-size 1" in line for line in translating)
    assert r"--units 'encoder\.layers\.11\.ffn2\..*'" in printed
    assert "--target eng" in printed
    assert "3 of at most 7.9 GPU hours each (base); 9 of at most 2.4" in printed
    assert "821 million parameters, 13 GB of memory" in printed
    assert gist(["experiment", str(RECIPE / "seamless.toml"), "-o", str(out), *given]) == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--only", "best"], "--only: expected some of base, unified, gdps"),
        (["--set", "seeded=best"], "seeded: expected some of base, unified, gdps"),
        (["--set", "languages=de"], "languages: expected 2 or more, found de"),
        (["--set", "average=0"], "average: expected a number from 1 on, found 0"),
        (["--set", "start=nowhere.pt"], "expected files that no step makes, found none of 1"),
    ],
)
def test_what_cannot_work_is_told(small, tmp_path, capsys, changes, message):
    out = tmp_path / "low-resource"
    assert gist(["experiment", str(small), "-o", str(out), *changes]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()
