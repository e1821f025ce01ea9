"""Checkpoints that know what they are."""

import json
import shutil
import subprocess
import sys
import textwrap
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fairseq import checkpoint_utils
from fairseq.sequence_generator import SequenceGenerator

from fairseq_gist import load
from fairseq_gist.cli.main import main as gist
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sound.audio import resample
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of
from tests import forking
from tests.e2e.conftest import SMALL_MODEL, assert_same_tensors
from tests.e2e.helpers import batch_of, build
from tests.e2e.whisper.helpers import rows_of_language

GENERATE = [
    "--config-yaml=config_st.yaml",
    "--max-tokens=4000",
    "--beam=5",
    "--prefix-size=1",
    "--max-len-b=15",
    "--cpu",
    "--num-workers=0",
]


def fairseq(tool, *arguments, plugin=None):
    """Run a fairseq command in a process of its own."""
    program = f"from fairseq_cli.{tool} import cli_main; cli_main()"
    user_dir = ["--user-dir", str(plugin)] if plugin else []
    return forking.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments), *user_dir],
        capture_output=True,
        text=True,
        timeout=300,
    )


def hypotheses(folder):
    """Return the H- lines of every output in ``folder``: id, score, tokens."""
    return sorted(
        line
        for path in Path(folder).glob("generate-*.txt")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("H-")
    )


@pytest.fixture
def plugin(repo_root):
    return repo_root / "fairseq_gist"


def test_reloading_needs_no_option_and_gives_distinct_copies(differentiated, data):
    task, _, _ = build(data)
    (model,), _ = checkpoint_utils.load_model_ensemble([str(differentiated.checkpoint)], task=task)
    saved = differentiated.load()["model"]
    assert plan_of(model) == plan_in_state(saved)
    assert_same_tensors(dict(model.state_dict()), dict(saved))
    storages = [parameter.data_ptr() for parameter in model.parameters()]
    assert len(storages) == len(set(storages))


def test_exported_gives_the_hypotheses_of_the_differentiated(
    differentiated, data, tmp_path, plugin
):
    exported = tmp_path / "de.pt"
    arguments = ["--language", "de", "-o", str(exported)]
    assert gist(["export", str(differentiated.checkpoint), *arguments]) == 0
    own = {"differentiate_at", "homogeneous_batches", "multiway_batches", "max_target_tokens"}
    own |= {"sampling_temperature", "size_budget", "adapter_dim", "seamless_path", "train_only"}
    own |= {"whisper_path", "whisper_window", "whisper_silence", "whisper_prompt"}
    written = read_checkpoint(str(exported))["cfg"]
    assert not own & {*written["model"], *written["task"]}
    assert {"data", "config_yaml", "seed", "train_subset", "encoder_layers"} <= {*written["model"]}
    common = [data, *GENERATE, "--gen-subset=tst-COMMON_de"]
    ours = fairseq(
        "generate", *common, "--task=gist_speech_to_text", f"--path={differentiated.checkpoint}",
        f"--results-path={tmp_path / 'ours'}", plugin=plugin,
    )  # fmt: skip
    stock = fairseq(
        "generate", *common, "--task=speech_to_text", f"--path={exported}",
        f"--results-path={tmp_path / 'stock'}",
    )  # fmt: skip
    assert ours.returncode == 0, ours.stderr[-2000:]
    assert stock.returncode == 0, stock.stderr[-2000:]
    validated = fairseq(
        "validate", data, "--task=speech_to_text", "--config-yaml=config_st.yaml",
        "--valid-subset=dev_de", "--batch-size=8", "--cpu", f"--path={exported}", "--num-workers=0",
    )  # fmt: skip
    assert validated.returncode == 0, validated.stderr[-2000:]
    assert len(hypotheses(tmp_path / "ours")) == 8
    assert hypotheses(tmp_path / "ours") == hypotheses(tmp_path / "stock")


def test_an_export_is_loaded_by_the_stock_model_itself(differentiated, data, tmp_path):
    exported = tmp_path / "de.pt"
    command = ["export", str(differentiated.checkpoint), "--language=de", "-o", str(exported)]
    assert gist(command) == 0
    task, _, _ = build(data)
    (model,), _ = checkpoint_utils.load_model_ensemble([str(differentiated.checkpoint)], task=task)
    own = rows_of_language(batch_of(task, 8), task.languages.index("de"))["net_input"]
    stock = {key: own[key] for key in ("src_tokens", "src_lengths", "prev_output_tokens")}
    torch.save(stock, tmp_path / "batch.pt")
    program = """
        import sys, torch
        from fairseq.models.speech_to_text import S2TTransformerModel
        folder, data = sys.argv[1:]
        hub = S2TTransformerModel.from_pretrained(
            folder, checkpoint_file="de.pt", data_name_or_path=data, config_yaml="config_st.yaml"
        )
        assert not any(name.startswith("fairseq_gist") for name in sys.modules)
        assert type(hub.model) is S2TTransformerModel, type(hub.model)
        with torch.no_grad():
            logits = hub.model.eval()(**torch.load(f"{folder}/batch.pt"))[0]
        torch.save(logits, f"{folder}/logits.pt")
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), str(tmp_path), str(data)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        expected = model.eval()(**own)[0]
    difference = (torch.load(tmp_path / "logits.pt") - expected).abs().max().item()
    print(f"logits differ by {difference}")  # noqa: T201
    assert difference < 1e-5


def test_no_test_sentence_is_dropped(differentiated, data, tmp_path, plugin):
    done = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON", "--task=gist_speech_to_text",
        "--required-batch-size-multiple=8", f"--path={differentiated.checkpoint}",
        f"--results-path={tmp_path}", plugin=plugin,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path)) == 64
    scores = tmp_path / "scores.json"
    arguments = ["--data", str(data), "--subset", "tst-COMMON", "-o", str(scores)]
    assert gist(["score", f"tiny={tmp_path}", *arguments]) == 0
    system = json.loads(scores.read_text(encoding="utf-8"))["systems"][0]
    assert system["hypotheses"] == system["references"] == 64


def test_validation_works_on_a_differentiated_checkpoint(differentiated, data, plugin):
    done = fairseq(
        "validate", data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        "--valid-subset=dev", "--max-tokens=4000", "--cpu", f"--path={differentiated.checkpoint}",
        "--num-workers=0", plugin=plugin,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "loss_de" in done.stderr + done.stdout


def test_a_model_of_some_of_the_vocabularys_languages_says_which(train, data, tmp_path, plugin):
    some = ["--languages=de,es", "--train-subset=train_de,train_es", "--valid-subset=dev_de"]
    split = ["--differentiate-at=1", "--differentiate-by=language-specific", "--max-update=2"]
    run = train(tmp_path, *some, *split)
    assert load(run.checkpoint, data=data, device="cpu").languages == ["de", "es"]
    arguments = [
        data,
        *GENERATE,
        "--task=gist_speech_to_text",
        "--gen-subset=dev_es",
        f"--results-path={tmp_path}",
    ]
    done = fairseq("generate", *arguments, f"--path={run.checkpoint}", plugin=plugin)
    assert done.returncode == 0, done.stderr[-2000:]
    assert hypotheses(tmp_path)
    command = ["record", str(run.checkpoint), str(data), "--gradient-chunks=2", "--cpu"]
    statistics = tmp_path / "recorded.npz"
    assert gist([*command, "--subset=dev_de,dev_es", "-o", str(statistics)]) == 0
    assert list(GradientStatistics.load(statistics).languages) == ["de", "es"]


def test_interactive_takes_the_language_from_an_option(differentiated, data, plugin):
    rows = (data / "tst-COMMON_de.tsv").read_text(encoding="utf-8").splitlines()[1:3]
    audio = "".join(f"{data / row.split(chr(9))[1]}\n" for row in rows)
    source = data / "interactive.txt"
    source.write_text(audio, encoding="utf-8")
    arguments = [
        data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml", "--prefix-size=1",
        "--max-tokens=4000", "--cpu", "--beam=2", "--max-len-b=10", f"--input={source}",
        f"--path={differentiated.checkpoint}",
    ]  # fmt: skip
    done = fairseq("interactive", *arguments, "--target-language=nl", plugin=plugin)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len([line for line in done.stdout.splitlines() if line.startswith("H-")]) == 2
    refused = fairseq("interactive", *arguments, plugin=plugin)
    assert refused.returncode == 1
    last = refused.stderr.strip().splitlines()[-1]
    assert last.startswith("fairseq-gist: error: --target-language: expected one of de, es")


def test_interactive_takes_recordings_as_they_are(differentiated, data, plugin, tmp_path):
    """Any rate, any channels; what can't be translated is named, and the others are."""
    recording = next((data.parent / "en-de" / "data" / "tst-COMMON" / "wav").glob("*.wav"))
    whole, rate = soundfile.read(str(recording), dtype="float32")
    sound = whole[: 2 * rate]
    files = {
        "plain.wav": (sound, rate),
        "stereo.flac": (np.stack([sound, sound], axis=1), rate),
        "fast.wav": (resample(sound, rate, 44100), 44100),
        "long.wav": (np.tile(sound, 40), rate),
        "last.wav": (sound, rate),
    }
    for name, (samples, own_rate) in files.items():
        soundfile.write(str(tmp_path / name), samples, own_rate)
    listed = tmp_path / "list.txt"
    names = ["plain.wav", "missing.wav", "stereo.flac", "fast.wav", "long.wav", "last.wav"]
    listed.write_text("".join(f"{tmp_path / name}\n" for name in names), encoding="utf-8")
    done = fairseq(
        "interactive", data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        "--prefix-size=1", "--max-tokens=4000", "--cpu", "--beam=2", "--max-len-b=10",
        f"--input={listed}", f"--path={differentiated.checkpoint}", "--target-language=nl",
        "--buffer-size=10", plugin=plugin,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("H-")]
    found = {name: rest for name, *rest in lines}
    assert sorted(found) == ["H-0", "H-2", "H-3", "H-5"]
    assert found["H-0"] == found["H-5"]
    assert found["H-0"][1] == found["H-2"][1]
    assert "missing.wav: neither readable audio nor features" in done.stderr
    assert "long.wav: 7,998 frames of a hundredth of a second are more than" in done.stderr


def test_averaging_keeps_the_plan_and_refuses_another(differentiated, train, tmp_path):
    same = tmp_path / "average.pt"
    path = str(differentiated.checkpoint)
    assert gist(["average", path, path, "-o", str(same)]) == 0
    assert_same_tensors(read_checkpoint(str(same))["model"], dict(differentiated.load()["model"]))

    shared = train(tmp_path / "shared", "--max-update=2")
    other = tmp_path / "other.pt"
    assert gist(["average", path, str(shared.checkpoint), "-o", str(other)]) == 1
    assert not other.exists()


def test_finetuning_from_a_stock_checkpoint_with_a_plan_from_the_start(
    differentiated, data, train, tmp_path
):
    stock = tmp_path / "stock"
    model = [option.replace("gist_", "") for option in SMALL_MODEL]
    trained = train(
        stock, "--task=speech_to_text", "--criterion=label_smoothed_cross_entropy",
        "--max-update=2", "--required-batch-size-multiple=1", model=model,
    )  # fmt: skip
    plan = tmp_path / "plan.json"
    plan.write_text(plan_in_state(differentiated.load()["model"]).to_json(), encoding="utf-8")
    tuned = train(
        tmp_path / "tuned", f"--finetune-from-model={trained.checkpoint}", f"--sharing-plan={plan}",
        "--max-update=1", "--lr=0.0", "--warmup-updates=1",
    )  # fmt: skip
    state = tuned.load()["model"]
    assert plan_in_state(state).to_json() == plan.read_text(encoding="utf-8")
    original = trained.load()["model"]
    for key, tensor in state.items():
        if ".copies." in key:
            path, _, name = key.partition(".copies.")
            assert torch.equal(tensor, original[f"{path}.{name.split('.')[1]}"]), key


def test_a_stock_checkpoint_resumes_with_its_optimizer(train, tmp_path):
    model = [option.replace("gist_", "") for option in SMALL_MODEL]
    stock = ["--task=speech_to_text", "--criterion=label_smoothed_cross_entropy"]
    first = train(
        tmp_path, *stock, "--max-update=2", "--required-batch-size-multiple=1", model=model
    )
    moments = first.load()["last_optimizer_state"]["state"]
    assert moments[0]["step"] == 2
    second = train(
        tmp_path, "--criterion=label_smoothed_cross_entropy", "--max-update=8",
        "--differentiate-at=7", "--gradient-window=4", "--gradient-chunks=4",
    )  # fmt: skip
    assert second.steps[0].update == 2
    assert not plan_in_state(second.load()["model"]).is_shared


def test_apply_keeps_the_function_and_show_prints_the_table(differentiated, data, tmp_path, capsys):
    statistics = differentiated.folder / "statistics.npz"
    plan, split = tmp_path / "plan.json", tmp_path / "split.pt"
    decide = ["plan", "gradient", "--statistics", str(statistics), "--size-budget", "1.3"]
    assert gist([*decide, "-o", str(plan)]) == 0
    task, model, _ = build(data)
    shared = tmp_path / "shared.pt"
    content = read_checkpoint(str(differentiated.checkpoint))
    content = {**content, "model": model.state_dict(), "last_optimizer_state": None}
    torch.save(content, shared)
    assert gist(["apply", str(shared), str(plan), "-o", str(split)]) == 0
    (loaded,), _ = checkpoint_utils.load_model_ensemble([str(split)], task=task)
    sample = batch_of(task, utterances=4)
    before, after = (m.eval()(**sample["net_input"])[0] for m in (model, loaded))
    # products of matrices with fewer rows may round differently
    difference = (before - after).abs().max().item()
    assert difference < 5e-6, f"logits differ by {difference}"
    capsys.readouterr()
    for file in (plan, split):
        assert gist(["show", str(file)]) == 0
        table = capsys.readouterr().out
        assert "decoder.layers.0.self_attn.q_proj" in table
        assert "times the shared model's" in table


def test_a_stock_model_works_under_our_task(train, data, tmp_path):
    model = [option.replace("gist_", "") for option in SMALL_MODEL]
    run = train(tmp_path, "--max-update=2", model=model)
    task, _, _ = build(data)
    (stock,), _ = checkpoint_utils.load_model_ensemble([str(run.checkpoint)], task=task)
    assert type(stock).__name__ == "S2TTransformerModel"
    sample = batch_of(task, utterances=2, subset="tst-COMMON")
    generator = SequenceGenerator([stock], task.target_dictionary, beam_size=2, max_len_b=5)
    prefix = sample["target"][:, :1]
    assert len(task.inference_step(generator, [stock], sample, prefix_tokens=prefix)) == 16


def test_a_checkpoint_needs_no_pretrained_encoder_any_more(train, differentiated, tmp_path):
    pretrained = tmp_path / "pretrained.pt"
    shutil.copy(differentiated.checkpoint, pretrained)
    option = f"--load-pretrained-encoder-from={pretrained}"
    run = train(tmp_path / "run", "--max-update=1", option)
    pretrained.unlink()
    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(run.checkpoint)])
    assert_same_tensors(models[0].state_dict(), run.load()["model"])


def test_apply_keeps_the_options_of_a_checkpoint_without_cfg(differentiated, tmp_path, capsys):
    """As of fairseq before 0.10.2, which knew one set of options for everything."""
    old, plan, out = (str(tmp_path / name) for name in ("old.pt", "plan.json", "split.pt"))
    content = read_checkpoint(str(differentiated.checkpoint))
    plan_in_state(content["model"]).save(plan)
    settings = vars(content["cfg"]["model"])
    torch.save({**content, "args": Namespace(**settings), "cfg": None}, old)
    assert gist(["apply", old, plan, "-o", out]) == 0, capsys.readouterr().err
    models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([out])
    assert cfg.task.config_yaml == settings["config_yaml"]
    assert plan_of(models[0]) == plan_in_state(content["model"])
    assert list(task.languages) == list(plan_of(models[0]).languages)
