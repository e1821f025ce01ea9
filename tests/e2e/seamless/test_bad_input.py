"""What can be wrong with a SeamlessM4T and its data: one clear line each."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.errors import DataError
from tests.e2e.helpers import batch_of, build

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def start(data, *options):
    task, _, _ = build(data, "--language-key=src", *options, model=[])
    task.load_dataset("train")


def refused(data, *options):
    with pytest.raises(SystemExit) as error:
        start(data, *options)
    line = str(error.value)
    assert line.startswith("fairseq-gist: error: ")
    assert "\n" not in line
    return line


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the model's folder, to be spoiled."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def with_settings(folder, **changes):
    file = folder / "config.json"
    file.write_text(
        json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
    )
    return ["--arch=gist_seamless_m4t", f"--seamless-path={folder}"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("bert", "expected a model of type 'seamless_m4t', found 'bert'; give --seamless-path a"),
        ("seamless_m4t_v2", "this is a model of SeamlessM4T's second version ('seamless_m4t_v2')"),
    ],
)
def test_a_folder_with_another_model(seamless_data, copy, kind, message):
    assert message in refused(seamless_data, *with_settings(copy, model_type=kind))


def test_a_folder_that_has_no_model_or_is_none(seamless_data, tmp_path):
    options = ["--arch=gist_seamless_m4t", f"--seamless-path={tmp_path}"]
    assert "found a folder without config.json" in refused(seamless_data, *options)
    assert "none: found no folder" in refused(seamless_data, f"{options[1]}/none", options[0])
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert "it is an adapter (PEFT) for a model, not one" in refused(seamless_data, *options)


def test_a_folder_without_its_weights_tokenizer_or_feature_extractor(seamless_data, copy):
    options = with_settings(copy)
    for name, message in (
        ("model.safetensors", "its weights can't be read"),
        ("tokenizer.json", "its tokenizer can't be read"),
        ("preprocessor_config.json", "its feature extractor can't be read"),
    ):
        (copy / name).rename(copy / "hidden")
        assert message in refused(seamless_data, *options), name
        (copy / "hidden").rename(copy / name)


def test_parts_that_are_not_of_one_model(seamless_data, copy):
    options = with_settings(copy, feature_projection_input_dim=40)
    message = "the model expects features 40 wide, its feature extractor makes 160"
    assert message in refused(seamless_data, *options)
    options = with_settings(copy, feature_projection_input_dim=160, vocab_size=60)
    assert "but its model has 60 symbols; are they of one model?" in refused(
        seamless_data, *options
    )


def test_weights_that_lack_something(seamless_data, copy):
    options = with_settings(copy, decoder_layers=3)
    assert "its weights lack 'text_decoder.layers.2." in refused(seamless_data, *options)


def test_a_target_language_that_the_tokenizer_lacks(seamless_data, model_options, tmp_path):
    for name in ("train", "dev"):
        text = (seamless_data / f"{name}.tsv").read_text(encoding="utf-8")
        (tmp_path / f"{name}.tsv").write_text(text.replace("\teng\n", "\ten\n"), encoding="utf-8")
    (tmp_path / "config_st.yaml").write_text(f"audio_root: {seamless_data}\n", encoding="utf-8")
    line = refused(tmp_path, *model_options)
    assert "train.tsv, line 2: tgt_lang 'en' is none of the 3 languages that the token" in line
    assert "it names languages by three letters, this one eng" in line


def test_a_language_of_the_option_that_the_tokenizer_lacks(seamless_data, model_options):
    with pytest.raises(SystemExit, match="--languages: 'en' has no tag '<lang:en>' in the voc"):
        build(seamless_data, "--languages=en", model=model_options)


def test_features_of_another_width(seamless_data, model_options, tmp_path):
    shutil.copytree(seamless_data, tmp_path / "data")
    first = (tmp_path / "data/train.tsv").read_text(encoding="utf-8").splitlines()[1].split("\t")[1]
    np.save(tmp_path / "data" / first, np.zeros((50, 40), dtype=np.float32))
    (tmp_path / "data/config_st.yaml").write_text(
        f"audio_root: {tmp_path / 'data'}\n", encoding="utf-8"
    )
    task, model, _ = build(tmp_path / "data", "--language-key=src", model=model_options)
    task.load_dataset("train")
    expected = r"npy can't be read: expected features \[frames, 80\], or .* found \[50, 40\]"
    with pytest.raises(DataError, match=expected):
        task.dataset("train")[0]
    sample = batch_of(task, 2)
    narrow = {**sample["net_input"], "src_tokens": torch.zeros(2, 50, 80)}
    with pytest.raises(DataError, match=r"of shape \[utterances, frames, 160\], found \[2, 50, 8"):
        model(**narrow)


def test_the_model_without_its_folder_and_the_folder_without_the_model(
    seamless_data, folder, tmp_path
):
    line = refused(seamless_data, "--arch=gist_seamless_m4t")
    assert "config_st.yaml names no vocabulary" in line
    assert "give its folder with --seamless-path" in line
    (tmp_path / "config_st.yaml").write_text("vocab_filename: dict.txt\n", encoding="utf-8")
    (tmp_path / "dict.txt").write_text("the 1\n", encoding="utf-8")
    shutil.copy(seamless_data / "train.tsv", tmp_path)
    line = refused(tmp_path, "--arch=gist_seamless_m4t")
    assert "--arch gist_seamless_m4t: the model's vocabulary and features are those of a" in line
    line = refused(seamless_data, f"--seamless-path={folder}", "--arch=gist_s2t_transformer_xs")
    assert "--seamless-path goes with --arch gist_seamless_m4t, found gist_s2t_transformer" in line


def test_an_architecture_that_needs_a_folder_cannot_be_planned_without(tmp_path, capsys):
    command = ["plan", "random", "--arch=seamless_m4t", "--dict-size=90", "--languages=de,es"]
    assert gist([*command, "--size-budget=2", "-o", str(tmp_path / "plan.json")]) == 1
    assert "is built from a folder" in capsys.readouterr().err


def test_a_broken_torchaudio_is_recognised(tmp_path):
    """It is enough for it to be installed: transformers imports it with the model."""
    package = tmp_path / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise OSError('libtorchaudio.so: undefined symbol: _ZN3c10')\n", encoding="utf-8"
    )
    metadata = tmp_path / "torchaudio-2.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchaudio\nVersion: 2.0\n", encoding="utf-8"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from fairseq_gist.host.transformers import require_transformers\n"
        "require_transformers('SeamlessM4T', 'SeamlessM4TForSpeechToText', 'seamless')\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    print(done.stderr[-500:])  # noqa: T201
    last = done.stderr.strip().splitlines()[-1]
    assert "SeamlessM4T can't be imported from transformers" in last
    assert last.endswith("the torchaudio here doesn't fit this torch: pip uninstall torchaudio")
