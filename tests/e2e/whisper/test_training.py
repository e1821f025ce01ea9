"""Training, differentiating, resuming, averaging and exporting a Whisper."""

import sys

import pytest
import torch

from fairseq_gist.architectures.whisper.names import state_for_transformers
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
from tests.e2e.helpers import batch_of, with_copies_apart
from tests.e2e.test_checkpoints import fairseq, hypotheses
from tests.e2e.whisper.conftest import DIFFERENTIATION, PREFIX
from tests.e2e.whisper.helpers import (
    NEW_TOKENS,
    build_whisper,
    by_fairseq,
    by_transformers,
    decoder_input,
    rows_of_language,
    window_of,
)
from tests.e2e.whisper.tiny import TEXTS

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def test_training_differentiates_encoder_and_decoder(differentiated):
    plan = plan_in_state(differentiated.load()["model"])
    split = [name for name, groups in plan.units.items() if len(groups) > 1]
    assert list(plan.languages) == ["de", "es", "ru"]
    assert any(name.startswith("encoder.") for name in split)


def test_resuming_is_bit_exact(train_whisper, differentiated, tmp_path):
    train_whisper(tmp_path, *DIFFERENTIATION, "--max-update=5")
    resumed = train_whisper(tmp_path, *DIFFERENTIATION, "--max-update=6")
    expected, found = differentiated.load(), resumed.load()
    assert resumed.steps[-1].loss == differentiated.steps[-1].loss
    assert_same_tensors(expected["model"], found["model"])


def test_whisper_as_it_is_becomes_a_checkpoint_at_a_learning_rate_of_nothing(
    train, options, folder, tmp_path
):
    from transformers import WhisperForConditionalGeneration

    changes = {**PREFIX, "--lr": "0", "--lr-scheduler": "fixed"}
    run = train(
        tmp_path,
        *options,
        "--max-update=1",
        model=[],
        replace_data=True,
        recipe_changes=changes,
        drop=["--warmup-updates"],
    )
    theirs = WhisperForConditionalGeneration.from_pretrained(str(folder)).state_dict()
    ours = state_for_transformers(export_state(run.load()["model"], "de"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


@pytest.fixture(scope="module")
def apart(differentiated, tmp_path_factory):
    """The run's checkpoint with copies that differ more than a few updates make them."""
    content = with_copies_apart(differentiated.checkpoint)
    path = str(tmp_path_factory.mktemp("apart") / "checkpoint.pt")
    torch.save(content, path)
    return path


def load(path, data, model_options):
    """Return that model as fairseq-generate loads it, the whole window heard, and its task."""
    from fairseq import checkpoint_utils

    task, _, _ = build_whisper(data, "--whisper-window=full", model=model_options)
    models, _ = checkpoint_utils.load_model_ensemble([str(path)], task=task)
    return models[0].eval(), task


def test_every_exported_folder_translates_like_the_differentiated_model(
    apart, whisper_data, model_options, tmp_path
):
    from transformers import WhisperForConditionalGeneration

    model, task = load(apart, whisper_data, model_options)
    assert model.encoder.silence is None
    assert any(isinstance(module, GroupedModule) for module in model.modules())
    sample = batch_of(task, 12)
    seen, worst, compared = set(), 0.0, 0
    for position, language in enumerate(task.languages):
        out = tmp_path / language
        assert gist(["export", apart, "--language", language, "-o", str(out)]) == 0
        theirs = WhisperForConditionalGeneration.from_pretrained(str(out)).eval()
        own = rows_of_language(sample, position)
        names, features = [language] * len(own["target"]), window_of(own, 100)
        start = theirs.config.decoder_start_token_id
        with torch.no_grad():
            expected = theirs(features, decoder_input_ids=decoder_input(own, start)).logits
            found = model(**own["net_input"])[0]
        worst = max(worst, (expected - found).abs().max().item() / expected.abs().max().item())
        for beam, settings in ((1, {}), (4, {"length_penalty": 0.0, "early_stopping": True})):
            ours = by_fairseq(model, task.target_dictionary, own, beam, normalize_scores=False)
            best = by_transformers(theirs, features, names, beam, **settings)
            for one, other in zip(ours, best):
                if beam == 1 or max(map(len, one)) < NEW_TOKENS:
                    assert one[0] == other
                    compared += 1
            seen |= set(map(str, best))
    print(f"logits differ by {worst} (relative); {len(seen)} of {compared} sentences")  # noqa: T201
    assert worst < 1e-5
    assert len(seen) >= 4
    assert compared >= 18


def test_an_exported_folder_has_everything_and_loads_here_again(
    differentiated, folder, tmp_path, whisper_data
):
    from transformers import AutoConfig, WhisperProcessor

    out = tmp_path / "es"
    checkpoint = str(differentiated.checkpoint)
    assert gist(["export", checkpoint, "--language", "es", "-o", str(out)]) == 0
    files = {file.name for file in folder.iterdir()}
    assert {file.name for file in out.iterdir()} == {*files, "README.md"}
    assert AutoConfig.from_pretrained(str(out)).model_type == "whisper"
    assert WhisperProcessor.from_pretrained(str(out)).tokenizer("the house").input_ids
    options = ["--arch=gist_whisper", f"--whisper-path={out}"]
    _, model, _ = build_whisper(whisper_data, model=options)
    assert model.decoder.embed_tokens.weight is model.decoder.output_projection.weight
    assert gist(["export", checkpoint, "--language", "es", "-o", str(out)]) == 1


def test_a_checkpoint_keeps_its_window_unless_told(differentiated, whisper_data, model_options):
    from fairseq import checkpoint_utils

    settings = read_checkpoint(str(differentiated.checkpoint))["cfg"]["model"]
    assert (settings.whisper_window, settings.whisper_silence) == ("short", 8.0)
    task, _, _ = build_whisper(whisper_data, "--whisper-silence=0.5", model=model_options)
    models, _ = checkpoint_utils.load_model_ensemble([str(differentiated.checkpoint)], task=task)
    assert models[0].encoder.silence == 50
    assert len(models[0].decoder.suppressed) > 50


def test_a_recorded_plan_can_be_applied_shown_and_averaged(
    differentiated, whisper_data, tmp_path, capsys
):
    checkpoint = str(differentiated.checkpoint)
    statistics, plan = str(tmp_path / "statistics.npz"), str(tmp_path / "plan.json")
    command = ["record", checkpoint, str(whisper_data), "--subset=dev", "--gradient-chunks=4"]
    units = r"--units=encoder\.layers\.1\..+"
    assert gist([*command, "--cpu", units, "-o", statistics]) == 0
    assert GradientStatistics.load(statistics).units[0] == "encoder.layers.1.self_attn.k_proj"
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


@pytest.mark.slow
def test_hidden_units_are_divided_in_training(train_whisper, model_options, whisper_data, tmp_path):
    """A plan with a division: the first loss stays, a resumed run is the same, exports load."""
    first, second = "encoder.layers.1.fc1", "encoder.layers.1.fc2"
    languages = ["de", "es", "ru"]
    division = Division(second, 24, tuple(range(1, 24, 2)))
    shared_first, shared_second, own_first, own_second = divided_units(first, division)
    units = {shared_first: [languages], shared_second: [languages]}
    units.update({part: [["de", "es"], ["ru"]] for part in (own_first, own_second)})
    SharingPlan(languages, units, {}, {first: division}).save(tmp_path / "plan.json")
    given = f"--sharing-plan={tmp_path / 'plan.json'}"
    shared = train_whisper(tmp_path / "0", "--max-update=1")
    whole = train_whisper(tmp_path / "1", given, "--max-update=3")
    assert whole.steps[0].loss == pytest.approx(shared.steps[0].loss, rel=1e-5)
    train_whisper(tmp_path / "2", given, "--max-update=2")
    resumed = train_whisper(tmp_path / "2", given, "--max-update=3")
    assert_same_tensors(whole.load()["model"], resumed.load()["model"])
    out = tmp_path / "ru"
    assert gist(["export", str(whole.checkpoint), "--language", "ru", "-o", str(out)]) == 0
    model, _ = load(whole.checkpoint, whisper_data, model_options)
    assert count_parameters(model) == parameters_in_state(whole.load()["model"])


@pytest.mark.parametrize("source", ["train", pytest.param("dev", marks=pytest.mark.slow)])
def test_gdps_decides_on_hidden_units(train_whisper, tmp_path, source):
    run = train_whisper(
        tmp_path,
        "--max-update=6",
        "--differentiate-at=4",
        "--gradient-window=4",
        "--gradient-chunks=4",
        "--differentiate-by=gdps",
        "--gdps-groups=each",
        "--gdps-shared=0.5",
        f"--gradients-from={source}",
        r"--units=encoder\.layers\.1\.fc[12]",
    )
    plan = plan_in_state(run.load()["model"])
    first = "encoder.layers.1.fc1"
    assert plan.provenance["policy"] == "gdps"
    assert {name: found.second for name, found in plan.divisions.items()} == {
        first: "encoder.layers.1.fc2"
    }
    assert len(plan.divisions[first].own) == 12
    assert plan.units[f"{first}.own"] == (("de",), ("es",), ("ru",))
    out = tmp_path / "es"
    assert gist(["export", str(run.checkpoint), "--language", "es", "-o", str(out)]) == 0
    assert (out / "model.safetensors").is_file()


@pytest.mark.slow
def test_fairseq_generate_writes_text(differentiated, whisper_data, folder, tmp_path, repo_root):
    """Only the checkpoint says the languages; the tokenizer's symbols become text again."""
    done = fairseq(
        "generate", whisper_data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        f"--whisper-path={folder}", "--gen-subset=dev", f"--path={differentiated.checkpoint}",
        "--prefix-size=3", "--beam=3", "--max-len-b=12", "--max-tokens=4000", "--cpu",
        "--num-workers=0", f"--results-path={tmp_path}", plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path)) == 12
    text = next(tmp_path.glob("generate-*.txt")).read_text(encoding="utf-8")
    detokenised = [line for line in text.splitlines() if line.startswith("D-")]
    assert len(detokenised) == 12
    assert not any("Ġ" in line or "<|" in line or "<lang:" in line for line in detokenised)
    references = [line for line in text.splitlines() if line.startswith("T-")]
    assert any(TEXTS[3] in line for line in references), references


@pytest.mark.slow
def test_interactive_takes_audio_files(differentiated, whisper_data, folder, tmp_path, repo_root):
    (tmp_path / "names.txt").write_text(f"{whisper_data / 'dev_0_ru.wav'}\n", encoding="utf-8")
    arguments = [
        whisper_data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        f"--whisper-path={folder}", "--max-tokens=4000", "--cpu", "--beam=3", "--max-len-b=9",
        f"--input={tmp_path / 'names.txt'}", f"--path={differentiated.checkpoint}",
        "--prefix-size=3", "--source-language=ru", "--target-language=en",
    ]  # fmt: skip
    done = fairseq("interactive", *arguments, plugin=repo_root / "fairseq_gist")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len([line for line in done.stdout.splitlines() if line.startswith("D-")]) == 1
