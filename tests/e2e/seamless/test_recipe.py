"""examples/low_resource/run.sh with SeamlessM4T: every stage, from the folder to the table."""

import csv
import sys

import pytest

from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.test_low_resource_recipe import RECIPE, run

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

SETTINGS = f"""
. "{RECIPE / "iwslt.sh"}"
check_data() {{ :; }}
prepare_data() {{ :; }}
batches=(--max-tokens 600 --update-freq 1)
generation=(--max-tokens 4000 --max-len-a 0 --max-len-b 12)
"""


@pytest.mark.slow
def test_all_stages_work_with_a_tiny_model(folder, seamless_data, tmp_path):
    out, settings = tmp_path / "out", tmp_path / "settings.sh"
    settings.write_text(SETTINGS)
    done = run(
        out, settings, CORPUS=str(tmp_path), MODEL="seamless", SEAMLESS=str(folder),
        DATA=str(seamless_data), SYSTEMS="unified gdps gdps-random gdps-50", SEEDS="1", JOBS="1",
        UNITS=r"encoder\.layers\.1\.ffn2\..*", VALID="dev", TEST="dev", MEASURE_ON="dev",
        DEVICE="--cpu", NUM_WORKERS="0", PATIENCE="-1",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "821 million parameters" in done.stdout
    plan = SharingPlan.load(out / "gdps-50-1" / "plan.json")
    first = "encoder.layers.1.ffn2.intermediate_dense"
    assert {name: own.shared_fraction for name, own in plan.divisions.items()} == {first: 0.5}
    with open(out / "table.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = {row["system"]: int(row["value"]) for row in rows if row["quantity"] == "parameters"}
    assert list(sizes) == ["base", "unified", "gdps", "gdps-random", "gdps-50"]
    assert sizes["gdps-50"] > sizes["base"] == sizes["unified"]
    assert {row["language"] for row in rows if row["quantity"] == "score"} >= {"de", "es", "ru"}
    assert (out / "report" / "index.html").is_file()
