"""examples/low_resource with SeamlessM4T: every stage, from the folder to the table."""

import csv
import sys

import pytest

from fairseq_gist.cli.main import main as gist
from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.test_low_resource_recipe import RECIPE

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

SMALL = f"""
extends = "{RECIPE}/seamless.toml"

[settings]
seeds = [1]
languages = ["de", "es", "ru"]
units = 'encoder\\.layers\\.1\\.ffn2\\..*'
valid = "dev"
test = ["dev"]
base_updates = 2
updates = 2
save_every = 1
average = 2
chunks = 4
workers = 0
patience = -1

[options]
device = "--cpu"
batches = "--max-tokens 600 --update-freq 1"
generation = "--max-tokens 4000 --max-len-a 0 --max-len-b 12"
"""


@pytest.mark.slow
def test_all_stages_work_with_a_tiny_model(
    folder, seamless_data, tmp_path, monkeypatch, caplog, capsys
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(RECIPE.parents[1]))
    out, description = tmp_path / "out", tmp_path / "small.toml"
    description.write_text(SMALL, encoding="utf-8")
    command = ["experiment", str(description), "-o", str(out), "--set", f"corpus={tmp_path}"]
    command += [f"seamless={folder}", f"data={seamless_data}"]
    command += ["--only", "unified", "gdps-50"]
    with caplog.at_level("INFO"):
        assert gist(command) == 0, capsys.readouterr().err
    assert "821 million parameters" in caplog.text
    plan = SharingPlan.load(out / "gdps-50-1" / "plan.json")
    first = "encoder.layers.1.ffn2.intermediate_dense"
    assert {name: own.shared_fraction for name, own in plan.divisions.items()} == {first: 0.5}
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = {row["system"]: int(row["value"]) for row in rows if row["quantity"] == "parameters"}
    assert list(sizes) == ["base", "unified", "gdps-50"]
    assert sizes["gdps-50"] > sizes["base"] == sizes["unified"]
    assert {row["language"] for row in rows if row["quantity"] == "score"} >= {"de", "es", "ru"}
    assert (out / "report" / "index.html").is_file()
