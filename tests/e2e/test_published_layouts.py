"""From a folder as it is published to a trained model that differs by language."""

import pytest
import soundfile

from fairseq_gist.cli.main import main as gist
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.unit.preparing.layouts.test_covost import write_language

pytestmark = pytest.mark.skipif(
    "MP3" not in soundfile.available_formats(), reason="this libsndfile has no MP3"
)


def test_a_model_is_trained_and_differentiated_on_covost(train, tmp_path):
    for language, code in (("de", "de"), ("zh", "zh-CN")):
        write_language(tmp_path / code, code, "en", language)
    command = ["prepare", str(tmp_path), "--layout", "covost", "--target", "EN"]
    assert gist([*command, "--vocab-size", "25", "--workers", "1"]) == 0
    run = train(
        tmp_path / "run",
        str(tmp_path / "fairseq"),
        "--language-key=src",
        r"--units=encoder\.transformer_layers\..*",
        "--max-update=12",
        "--differentiate-at=10",
        "--gradient-window=8",
        "--gradient-chunks=4",
        "--size-budget=1.5",
        "--max-tokens=100",
        recipe_changes={"--ignore-prefix-size": "0"},
        replace_data=True,
    )
    assert run.steps[-1].loss < run.steps[0].loss
    plan = plan_in_state(run.load()["model"])
    assert plan.languages == ("de", "zh-CN")
    assert any(len(groups) == 2 for groups in plan.units.values())
