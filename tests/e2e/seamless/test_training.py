"""Training, differentiating, resuming, averaging and exporting a SeamlessM4T."""

import sys

import pytest
import torch

from fairseq_gist.cli.checkpoint_files import read_checkpoint
from fairseq_gist.cli.main import main as gist
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import export_state
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build
from tests.e2e.seamless.conftest import DIFFERENTIATION
from tests.e2e.seamless.generating import by_fairseq, by_transformers, rows_of_language

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def test_training_differentiates_encoder_and_decoder(differentiated):
    plan = plan_in_state(differentiated.load()["model"])
    split = [name for name, groups in plan.units.items() if len(groups) > 1]
    print(split)
    assert list(plan.languages) == ["de", "es", "ru"]
    assert any(name.startswith("encoder.") for name in split)


def test_resuming_is_bit_exact(train, options, differentiated, tmp_path):
    command = [*options, *DIFFERENTIATION, "--max-tokens=600"]
    train(tmp_path, *command, "--max-update=5", model=[], replace_data=True)
    resumed = train(tmp_path, *command, "--max-update=6", model=[], replace_data=True)
    expected, found = differentiated.load(), resumed.load()
    assert resumed.steps[-1].loss == differentiated.steps[-1].loss
    assert_same_tensors(expected["model"], found["model"])


@pytest.fixture(scope="module")
def loaded(differentiated, seamless_data, model_options):
    """The differentiated model as fairseq-generate loads it, and its task."""
    from fairseq import checkpoint_utils

    task, _, _ = build(seamless_data, "--language-key=src", model=model_options)
    models, _ = checkpoint_utils.load_model_ensemble([str(differentiated.checkpoint)], task=task)
    return models[0].eval(), task


def test_every_exported_folder_translates_like_the_differentiated_model(
    differentiated, loaded, tmp_path
):
    model, task = loaded
    sample = batch_of(task, 12)
    assert any(isinstance(module, GroupedModule) for module in model.modules())
    for beam, ours, theirs in (
        (1, {}, {}),
        (4, {"normalize_scores": False}, {"length_penalty": 0.0, "early_stopping": True}),
    ):
        expected = by_fairseq(model, task.target_dictionary, sample, beam, **ours)
        for position, language in enumerate(task.languages):
            out = tmp_path / language
            if not out.exists():
                command = ["export", str(differentiated.checkpoint), "--language", language]
                assert gist([*command, "-o", str(out)]) == 0
            of_language = sample["net_input"]["lang_ids"] == position
            found = by_transformers(out, rows_of_language(sample, position), beam, **theirs)
            assert found == [row for row, own in zip(expected, of_language) if own], language


def test_an_exported_folder_has_everything_and_loads_here_again(
    differentiated, folder, tmp_path, seamless_data
):
    from transformers import AutoConfig, AutoTokenizer, SeamlessM4TProcessor

    out = tmp_path / "es"
    checkpoint = str(differentiated.checkpoint)
    assert gist(["export", checkpoint, "--language", "es", "-o", str(out)]) == 0
    assert {file.name for file in out.iterdir()} == {file.name for file in folder.iterdir()}
    assert AutoConfig.from_pretrained(str(out)).model_type == "seamless_m4t"
    assert AutoTokenizer.from_pretrained(str(out))("the house").input_ids
    assert SeamlessM4TProcessor.from_pretrained(str(out))
    options = ["--arch=gist_seamless_m4t", f"--seamless-path={out}"]
    _, model, _ = build(seamless_data, "--language-key=src", model=options)
    assert model.decoder.embed_tokens.weight is model.decoder.output_projection.weight
    assert gist(["export", checkpoint, "--language", "es", "-o", str(out)]) == 1


def test_a_recorded_plan_can_be_applied_shown_and_averaged(
    differentiated, seamless_data, tmp_path, capsys
):
    checkpoint = str(differentiated.checkpoint)
    statistics, plan = str(tmp_path / "statistics.npz"), str(tmp_path / "plan.json")
    units = r"--units=encoder\.layers\.1\..+"
    command = ["record", checkpoint, str(seamless_data), "--subset=dev", "--chunks=4", "--cpu"]
    assert gist([*command, units, "-o", statistics]) == 0
    assert GradientStatistics.load(statistics).units[0] == "encoder.layers.1.ffn1_layer_norm"
    own = str(differentiated.folder / "statistics.npz")
    assert gist(["plan", "gradient", "--statistics", own, "--size-budget=1.2", "-o", plan]) == 0
    fresh, split = str(tmp_path / "fresh.pt"), str(tmp_path / "split.pt")
    shared = read_checkpoint(checkpoint)
    shared["model"] = export_state(shared["model"], "de")
    torch.save(shared, fresh)
    assert gist(["apply", fresh, plan, "-o", split]) == 0
    assert gist(["show", split]) == 0
    assert gist(["average", split, split, "-o", str(tmp_path / "mean.pt")]) == 0
    mean = read_checkpoint(str(tmp_path / "mean.pt"))["model"]
    assert_same_tensors(read_checkpoint(split)["model"], mean)


def test_the_report_shows_a_run(differentiated, tmp_path):
    assert gist(["report", str(differentiated.folder), "-o", str(tmp_path / "report")]) == 0
