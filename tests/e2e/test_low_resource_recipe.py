"""examples/low_resource/run.sh: from data in several spoken languages to a table of systems."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.conftest import SMALL_MODEL

RECIPE = Path(__file__).parents[2] / "examples" / "low_resource"
SYSTEMS = [
    "unified", "gdps", "gdps-random", "gdps-25", "gdps-50", "gdps-75", "gdps-2-groups",
    "gdps-without-a", "gdps-without-c",
]  # fmt: skip
MODEL = " ".join(["--arch=gist_s2t_conformer", *SMALL_MODEL[1:], "--depthwise-conv-kernel-size=7"])
SETTINGS = f"""
. "{RECIPE / "cldr.sh"}"
prepare_data() {{ :; }}
model=({MODEL})
generation=(--batch-size 100 --max-len-a 0 --max-len-b 6)
"""
SMALL = {
    "LANGUAGES": "de es ru",
    "SEEDS": "1 2",
    "SEEDED": "unified",
    "JOBS": "2",
    "BASE_UPDATES": "2",
    "UPDATES": "2",
    "SAVE_EVERY": "1",
    "AVERAGE": "2",
    "CHUNKS": "4",
}


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.sh"
    path.write_text(SETTINGS)
    return path


def command(out, settings, **changes):
    environment = {**os.environ, **SMALL, **changes}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment["PYTHONPATH"] = str(RECIPE.parents[1])
    return {"args": [str(RECIPE / "run.sh"), str(out), str(settings)], "env": environment}


def run(out, settings, **changes):
    return subprocess.run(
        **command(out, settings, **changes),
        text=True, capture_output=True, timeout=600, check=False,
    )  # fmt: skip


def parameters(out, name):
    return json.loads((out / "scores" / f"{name}.json").read_text())["systems"][0]["parameters"]


# ---------------------------------------------------------------------------------- the whole chain
@pytest.mark.slow
def test_systems_are_trained_from_one_model_and_compared(spoken, settings, tmp_path):
    out = tmp_path / "low-resource"
    only = {"ONLY": "unified gdps gdps-random gdps-50", "DATA": str(spoken)}
    first = run(out, settings, **only)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["system"] for row in rows))
    assert names == ["base", "unified", "gdps", "gdps-random", "gdps-50"]
    assert {row["metric"] for row in rows if row["metric"]} == {"BLEU", "chrF++"}
    compared = {(row["system"], row["against"]) for row in rows if row["quantity"] == "p"}
    assert ("gdps", "unified") in compared
    assert ("gdps", "gdps-random") in compared
    table = (out / "seeds.md").read_text()
    assert re.search(r"^\| unified +\| +2 \|", table, re.MULTILINE)
    assert "gdps" not in table

    base = parameters(out, "base-1")
    assert parameters(out, "unified-1") == parameters(out, "base-2") == base
    assert parameters(out, "gdps-random-1") == parameters(out, "gdps-1")
    divided = SharingPlan.load(out / "gdps-50-1" / "plan.json")
    assert {division.shared_fraction for division in divided.divisions.values()} == {0.5}
    assert parameters(out, "gdps-50-1") > base
    if not SharingPlan.load(out / "gdps-1" / "plan.json").divisions:
        assert "- gdps, seed 1: shares everything" in (out / "table.md").read_text()
    assert (out / "report" / "index.html").is_file()
    assert not list(out.glob("*/checkpoint*.pt"))

    # a second run makes only what is missing, and the same of it
    seconds = (out / "seconds").read_text().splitlines()
    table = (out / "table.md").read_text()
    (out / "scores" / "unified-1.json").unlink()
    second = run(out, settings, **only)
    assert second.returncode == 0, second.stdout[-3000:] + second.stderr
    assert "== unified, seed 1" in second.stdout
    assert "== gdps, seed 1" not in second.stdout
    assert len((out / "seconds").read_text().splitlines()) == len(seconds) + 1
    assert (out / "table.md").read_text() == table

    other = run(out, settings, **only, UPDATES="3")
    assert other.returncode == 1
    assert "was made with other settings (above)" in other.stderr


@pytest.mark.slow
def test_one_that_fails_stops_the_others_and_says_where(spoken, settings, tmp_path):
    out = tmp_path / "low-resource"
    # the second model can't be written; the first would go on for hours
    (out / "base-2").parent.mkdir()
    (out / "base-2").write_text("in the way")
    result = run(out, settings, DATA=str(spoken), BASE_UPDATES="100000")
    assert result.returncode == 1
    assert "run.sh: stopped; what is done is kept" in result.stderr
    assert not _processes_of(out)


@pytest.mark.slow
def test_stopped_it_leaves_no_training_behind(spoken, settings, tmp_path):
    out = tmp_path / "low-resource"
    changes = {"DATA": str(spoken), "BASE_UPDATES": "100000"}
    process = subprocess.Popen(**command(out, settings, **changes), stdout=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if len(_processes_of(out)) >= 2:
                break
            time.sleep(0.2)
        assert len(_processes_of(out)) >= 2
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    for _ in range(50):
        if not _processes_of(out):
            break
        time.sleep(0.2)
    assert not _processes_of(out)


def _processes_of(out):
    """Return the trainings that save below ``out``."""
    listed = subprocess.run(
        ["ps", "-ww", "-eo", "args"], text=True, capture_output=True, check=True
    )
    return [line for line in listed.stdout.splitlines() if f"--save-dir {out}/" in line]


# ------------------------------------------------------------------------------- without training
def test_a_dry_run_prints_every_step_and_writes_nothing(settings, tmp_path):
    out = tmp_path / "low-resource"
    result = run(out, settings, DRY_RUN="1")
    assert result.returncode == 0, result.stdout + result.stderr
    flag = command(out, settings)
    flag["args"].insert(1, "--dry-run")
    by_flag = subprocess.run(**flag, text=True, capture_output=True, check=True)
    assert by_flag.stdout == result.stdout
    for name in ("base", *SYSTEMS):
        assert f"== {name}, seed 1" in result.stdout
    headings = re.findall("^== (.*), seed 2$", result.stdout, re.MULTILINE)
    assert headings == ["base", "unified"]
    for part in (
        f"record {out}/base-1/average.pt {out}/data --language-key src --hidden-units "
        "--subset multiway --chunks 4",
        f"plan gdps --statistics {out}/statistics-1.npz -o {out}/gdps-1/plan.json",
        f"plan gdps-random --statistics {out}/statistics-1.npz --seed 1 -o",
        "--shared 0.25",
        "--groups 2",
        "--groups each",
        "--own agreement",
        f"--finetune-from-model {out}/base-1/average.pt --sharing-plan {out}/gdps-50-1/plan.json",
        "--language-key src --chrf-word-order 2",
        f"report {out}/statistics-1.npz",
    ):
        assert part in result.stdout
    unified = result.stdout.split("== unified, seed 1")[1].split("==")[0]
    assert f"--finetune-from-model {out}/base-1/average.pt" in unified
    assert "--sharing-plan" not in unified
    assert not out.exists()


def test_the_settings_for_the_paper_s_languages(tmp_path):
    out = tmp_path / "iwslt"
    corpus = {"CORPUS": str(tmp_path), "DRY_RUN": "1"}
    for name in SMALL:
        corpus.setdefault(name, "")
    result = run(out, RECIPE / "iwslt.sh", **corpus)
    assert result.returncode == 0, result.stderr
    for part in (
        '--target "$TARGET"',
        "3 base models of at most 11.0 GPU hours, 9 systems of 2.2",
        "--arch gist_s2t_conformer --encoder-layers 12",
        r"--units encoder\\.conformer_layers\\.11\\.ffn2\\..\*",
        "--subset dev",
        "--valid-subset dev_aeb\\,dev_bem\\,dev_est\\,dev_gle",
        "--patience 10",
        "--gen-subset test",
    ):
        assert part in result.stdout
    missing = run(out, RECIPE / "iwslt.sh", **{**corpus, "DRY_RUN": ""})
    assert missing.returncode == 1
    assert f"CORPUS: expected {tmp_path}/aeb-en/data/train/txt/train.yaml, found none" in (
        missing.stderr
    )
    assert not out.exists()


def test_the_paper_s_own_model(tmp_path):
    out, folder = tmp_path / "seamless", tmp_path / "hf-seamless-m4t-medium"
    changes = {"CORPUS": str(tmp_path), "MODEL": "seamless", "SEAMLESS": str(folder)}
    for name in SMALL:
        changes.setdefault(name, "")
    result = run(out, RECIPE / "iwslt.sh", **changes, DRY_RUN="1")
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if f"--seamless-path {folder}" in line]
    training = [line for line in lines if line.startswith("fairseq-train")]
    assert len(training) == 3 + 3 * 3
    assert all("--arch gist_seamless_m4t" in line for line in training)
    assert all("--ignore-prefix-size 1" in line for line in training)
    translating = [line for line in lines if line.startswith("fairseq-generate")]
    assert len(translating) == len(training)
    assert all("--prefix-size 1" in line for line in translating)
    assert r"--units encoder\\.layers\\.11\\.ffn2\\..\*" in result.stdout
    assert "--target eng" in result.stdout or '--target "$TARGET"' in result.stdout
    assert "3 base models of at most 7.9 GPU hours, 9 systems of 2.4" in result.stdout
    assert "821 million parameters, 13 GB of memory" in result.stdout
    missing = run(out, RECIPE / "iwslt.sh", **changes)
    assert missing.returncode == 1
    assert f"SEAMLESS: expected {folder}/config.json, found none" in missing.stderr
    wrong = run(out, RECIPE / "iwslt.sh", **{**changes, "MODEL": "whisper"})
    assert "MODEL: expected conformer or seamless, found 'whisper'" in wrong.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ONLY": "best"}, "ONLY: expected some of base unified gdps"),
        ({"SEEDED": "best"}, "SEEDED: expected some of unified gdps"),
        ({"SYSTEMS": "gdps-60"}, "SYSTEMS: expected unified, gdps, gdps-random, gdps-25,"),
        ({"LANGUAGES": "de"}, "LANGUAGES: expected two or more, found 'de'"),
        ({"SEEDS": "1,2"}, "SEEDS: expected numbers with spaces between, found '1,2'"),
        ({"SEEDS": "1 2 1"}, "SEEDS: expected each once, found 1 again"),
        ({"UPDATES": "many"}, "UPDATES: expected a number from 1 on, found 'many'"),
        ({"AVERAGE": "0"}, "AVERAGE: expected a number from 1 on, found '0'"),
        ({"JOBS": "many"}, "JOBS: expected how many to run at a time, found 'many'"),
        ({"START": "nowhere.pt"}, "START: there is no checkpoint nowhere.pt"),
    ],
)
def test_what_cannot_work_is_told(settings, tmp_path, changes, message):
    out = tmp_path / "low-resource"
    result = run(out, settings, **changes)
    assert result.returncode == 1
    assert f"run.sh: {message}" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize("arguments", [["--help"], ["out", "--dry-run"], ["out", "a.sh", "b"]])
def test_other_arguments_are_refused(tmp_path, arguments):
    result = subprocess.run(
        [str(RECIPE / "run.sh"), *arguments],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.startswith("run.sh: expected [--dry-run] [OUT] [SETTINGS.sh], found")
    assert not list(tmp_path.iterdir())


def test_settings_that_cannot_be_read_or_lack_something(tmp_path):
    out = tmp_path / "out"
    result = run(out, tmp_path / "nothing.sh")
    assert result.returncode == 1
    assert "run.sh: cannot read the settings" in result.stderr
    for text, message in (
        ("LANGUAGES='de es'", "don't set SYSTEMS"),
        (f'. "{RECIPE / "cldr.sh"}"; unset -f prepare_data', "don't define prepare_data"),
    ):
        (tmp_path / "some.sh").write_text(f"{text}\n")
        result = run(out, tmp_path / "some.sh")
        assert result.returncode == 1
        assert f"run.sh: the settings {tmp_path / 'some.sh'} {message}" in result.stderr
    assert not out.exists()


def test_equal_settings_are_equal_wherever_they_come_from(settings, tmp_path):
    out = tmp_path / "out"
    settings.write_text(f"{settings.read_text()}prepare_data() {{ exit 0; }}\n")
    assert run(out, settings).returncode == 0  # by the environment
    facts = (out / "settings").read_text()
    settings.write_text(f"declare +x CHUNKS UPDATES\n{settings.read_text()}")
    for folder in (out, f"{out}/"):
        result = run(folder, settings)
        assert result.returncode == 0, result.stderr
        assert (out / "settings").read_text() == facts
