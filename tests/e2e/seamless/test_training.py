"""Training, differentiating, resuming, averaging and exporting a SeamlessM4T."""

import sys

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import export_state, parameters_in_state
from fairseq_gist.surgery.units import count_parameters
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, with_copies_apart
from tests.e2e.seamless.conftest import DIFFERENTIATION
from tests.e2e.seamless.generating import (
    by_fairseq,
    by_transformers,
    compare,
    rows_of_language,
)
from tests.e2e.seamless.tiny import TEXTS
from tests.e2e.test_checkpoints import fairseq, hypotheses

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def test_training_differentiates_encoder_and_decoder(differentiated):
    plan = plan_in_state(differentiated.load()["model"])
    split = [name for name, groups in plan.units.items() if len(groups) > 1]
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
def apart(differentiated, tmp_path_factory):
    """The run's checkpoint with copies that differ more than a few updates make them."""
    content = with_copies_apart(differentiated.checkpoint)
    end = 0.6 * content["model"]["decoder.embed_tokens.weight"][3]
    for name in ("embed_tokens", "output_projection"):  # or every sentence ends at once
        content["model"][f"decoder.{name}.weight"][3] = end
    path = str(tmp_path_factory.mktemp("apart") / "checkpoint.pt")
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def loaded(apart, seamless_data, model_options):
    """That model as fairseq-generate loads it, and its task."""
    from fairseq import checkpoint_utils

    task, _, _ = build(seamless_data, "--language-key=src", model=model_options)
    models, _ = checkpoint_utils.load_model_ensemble([apart], task=task)
    return models[0].eval(), task


def test_every_exported_folder_translates_like_the_differentiated_model(apart, loaded, tmp_path):
    model, task = loaded
    sample = batch_of(task, 12)
    assert any(isinstance(module, GroupedModule) for module in model.modules())
    greedy = by_fairseq(model, task.target_dictionary, sample, 1)
    beams = by_fairseq(model, task.target_dictionary, sample, 4, normalize_scores=False)
    compared = 0
    for position, language in enumerate(task.languages):
        out = tmp_path / language
        assert gist(["export", apart, "--language", language, "-o", str(out)]) == 0
        of_language = (sample["net_input"]["lang_ids"] == position).tolist()
        own = rows_of_language(sample, position)
        found = by_transformers(out, own, 1)
        assert found == [row for row, is_own in zip(greedy, of_language) if is_own], language
        found = by_transformers(out, own, 4, length_penalty=0.0, early_stopping=True)
        compared += compare(found, [row for row, is_own in zip(beams, of_language) if is_own])
    different = len({str(row) for row in (*greedy, *beams)})
    print(f"{different} different rows; {compared} of 12 beams compared")  # noqa: T201
    assert different >= 4
    assert compared >= 6


def test_an_exported_folder_has_everything_and_loads_here_again(
    differentiated, folder, tmp_path, seamless_data
):
    from transformers import AutoConfig, AutoTokenizer, SeamlessM4TProcessor

    out = tmp_path / "es"
    out.mkdir()
    checkpoint = str(differentiated.checkpoint)
    assert gist(["export", checkpoint, "--language", "es", "-o", str(out)]) == 0
    files = {file.name for file in folder.iterdir()}
    assert {file.name for file in out.iterdir()} == {*files, "README.md"}
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
    command = [
        "record",
        checkpoint,
        str(seamless_data),
        "--subset=dev",
        "--gradient-chunks=4",
        "--cpu",
    ]
    assert gist([*command, units, "-o", statistics]) == 0
    assert GradientStatistics.load(statistics).units[0] == "encoder.layers.1.ffn1_layer_norm"
    own = str(differentiated.folder / "statistics.npz")
    assert gist(["plan", "gradient", "--statistics", own, "--size-budget=1.2", "-o", plan]) == 0
    fresh, split = str(tmp_path / "fresh.pt"), str(tmp_path / "split.pt")
    shared = read_checkpoint(checkpoint)
    shared["model"] = export_state(shared["model"], "de")
    torch.save(shared, fresh)
    drawn = ["plan", "random", "--checkpoint", fresh, "--size-budget=1.5", "--count"]
    assert gist(drawn) == 0, capsys.readouterr().err
    assert gist(["apply", fresh, plan, "-o", split]) == 0
    assert gist(["show", split]) == 0
    assert gist(["average", split, split, "-o", str(tmp_path / "mean.pt")]) == 0
    mean = read_checkpoint(str(tmp_path / "mean.pt"))["model"]
    assert_same_tensors(read_checkpoint(split)["model"], mean)


@pytest.mark.slow
def test_the_report_shows_a_run(differentiated, tmp_path):
    assert gist(["report", str(differentiated.folder), "-o", str(tmp_path / "report")]) == 0


def test_hidden_units_of_ffn2_are_divided_in_training(train, options, seamless_data, tmp_path):
    """A plan with a division: the first loss stays, a resumed run is the same, exports load."""
    block = "encoder.layers.1.ffn2"
    first, second = f"{block}.intermediate_dense", f"{block}.output_dense"
    languages = ["de", "es", "ru"]
    division = Division(second, 24, tuple(range(1, 24, 2)))
    shared_first, shared_second, own_first, own_second = divided_units(first, division)
    units = {shared_first: [languages], shared_second: [languages]}
    units.update({part: [["de", "es"], ["ru"]] for part in (own_first, own_second)})
    SharingPlan(languages, units, {}, {first: division}).save(tmp_path / "plan.json")
    command = [*options, f"--sharing-plan={tmp_path / 'plan.json'}", "--max-tokens=600"]
    shared = train(tmp_path / "0", *options, "--max-tokens=600", "--max-update=1", model=[],
                   replace_data=True)  # fmt: skip
    whole = train(tmp_path / "1", *command, "--max-update=3", model=[], replace_data=True)
    assert whole.steps[0].loss == pytest.approx(shared.steps[0].loss, rel=1e-6)
    train(tmp_path / "2", *command, "--max-update=2", model=[], replace_data=True)
    resumed = train(tmp_path / "2", *command, "--max-update=3", model=[], replace_data=True)
    assert_same_tensors(whole.load()["model"], resumed.load()["model"])
    out = tmp_path / "ru"
    assert gist(["export", str(whole.checkpoint), "--language", "ru", "-o", str(out)]) == 0
    task, model, _ = build(seamless_data, "--language-key=src", model=options[2:])
    state = whole.load()["model"]
    model.load_state_dict(state)
    assert count_parameters(model) == parameters_in_state(state)
    own = rows_of_language(batch_of(task, 12), 2)
    found = by_fairseq(model.eval(), task.target_dictionary, own, 1)
    assert found == by_transformers(out, own, 1)


@pytest.mark.slow
def test_fairseq_generate_writes_detokenised_hypotheses(
    differentiated, seamless_data, folder, tmp_path, repo_root
):
    """Only the checkpoint says the languages; the tokenizer's symbols become text again."""
    done = fairseq(
        "generate", seamless_data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        f"--seamless-path={folder}", "--gen-subset=dev", f"--path={differentiated.checkpoint}",
        "--prefix-size=1", "--beam=3", "--max-len-b=12", "--max-tokens=4000", "--cpu",
        "--num-workers=0", f"--results-path={tmp_path}", plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path)) == 12
    text = next(tmp_path.glob("generate-*.txt")).read_text(encoding="utf-8")
    detokenised = [line for line in text.splitlines() if line.startswith("D-")]
    assert len(detokenised) == 12
    assert not any("▁" in line or "<lang:" in line for line in detokenised)
    references = [line for line in text.splitlines() if line.startswith("T-")]
    assert any(TEXTS[0] in line for line in references), references


@pytest.mark.slow
def test_interactive_takes_audio_files(differentiated, seamless_data, folder, tmp_path, repo_root):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(2).normal(size=20000) / 9, 16000)
    (tmp_path / "names.txt").write_text(f"{tmp_path / 'noise.wav'}\n", encoding="utf-8")
    arguments = [
        seamless_data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        f"--seamless-path={folder}", "--max-tokens=4000", "--cpu", "--beam=3", "--max-len-b=9",
        f"--input={tmp_path / 'names.txt'}", f"--path={differentiated.checkpoint}",
        "--prefix-size=1", "--source-language=ru", "--target-language=eng",
    ]  # fmt: skip
    done = fairseq("interactive", *arguments, plugin=repo_root / "fairseq_gist")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len([line for line in done.stdout.splitlines() if line.startswith("D-")]) == 1


@pytest.mark.parametrize("source", ["train", "dev"])
def test_gdps_decides_on_hidden_units_of_ffn2(train, options, tmp_path, source):
    run = train(
        tmp_path,
        *options,
        "--max-update=6",
        "--max-tokens=600",
        "--differentiate-at=4",
        "--gradient-window=4",
        "--gradient-chunks=4",
        "--differentiate-by=gdps",
        "--gdps-groups=each",
        "--gdps-shared=0.5",
        f"--gradients-from={source}",
        r"--units=encoder\.layers\.1\.ffn2\..*",
        model=[],
        replace_data=True,
    )
    plan = plan_in_state(run.load()["model"])
    first = "encoder.layers.1.ffn2.intermediate_dense"
    assert plan.provenance["policy"] == "gdps"
    assert {name: found.second for name, found in plan.divisions.items()} == {
        first: "encoder.layers.1.ffn2.output_dense"
    }
    assert len(plan.divisions[first].own) == 12
    assert plan.units[f"{first}.own"] == (("de",), ("es",), ("ru",))
    assert len(run.steps) == 6
    out = tmp_path / "es"
    assert gist(["export", str(run.checkpoint), "--language", "es", "-o", str(out)]) == 0
    assert (out / "model.safetensors").is_file()


def test_sounds_in_files_of_their_own_are_trained_on(train, model_options, tmp_path, caplog):
    """A clip of 10 ms is left out and counted; every other one, whatever it is, is heard."""
    noise = np.random.default_rng(1)
    lines = ["id\taudio\tn_frames\ttgt_text\tsrc_lang\ttgt_lang"]
    for number, (kind, rate) in enumerate([("wav", 16000), ("flac", 44100), ("wav", 8000)] * 2):
        for language in ("de", "es"):
            name = f"{language}_{number}.{kind}"
            soundfile.write(str(tmp_path / name), 0.1 * noise.standard_normal(rate), rate)
            lines.append(f"{name}\t{name}\t98\t{TEXTS[0]}\t{language}\teng")
    soundfile.write(str(tmp_path / "click.wav"), 0.1 * noise.standard_normal(160), 16000)
    lines.append(f"click\tclick.wav\t1\t{TEXTS[0]}\tde\teng")
    (tmp_path / "config_st.yaml").write_text(f"audio_root: {tmp_path}\n", encoding="utf-8")
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = train(
        tmp_path / "run", str(tmp_path), "--language-key=src", *model_options, "--max-epoch=1",
        "--max-tokens=600", model=[], replace_data=True,
    )  # fmt: skip
    assert run.checkpoint.is_file()
    told = f"{tmp_path}/train.tsv: left out 1 of 13 rows, whose audio is too short for a frame"
    assert f"{told}; the first is 'click' in line 14" in caplog.text
