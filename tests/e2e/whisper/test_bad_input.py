"""What can be wrong with a Whisper and its data: one clear line each."""

import json
import shutil
import sys

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.errors import DataError
from fairseq_gist.host.checkpoints import read_checkpoint
from tests.e2e.helpers import batch_of, build
from tests.e2e.whisper.helpers import build_whisper

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def refused(data, *options):
    with pytest.raises(SystemExit) as error:
        build_whisper(data, *options, model=[])[0].load_dataset("train")
    line = str(error.value)
    assert line.startswith("fairseq-gist: error: ")
    assert "\n" not in line
    return line


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the model's folder, to be spoiled."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def with_settings(folder, file="config.json", **changes):
    path = folder / file
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8"
    )
    return ["--arch=gist_whisper", f"--whisper-path={folder}"]


def test_a_folder_with_another_model_or_none(whisper_data, copy, tmp_path):
    line = refused(whisper_data, *with_settings(copy, model_type="bert"))
    assert "expected a model of type 'whisper', found 'bert'; give --whisper-path a local" in line
    (tmp_path / "empty").mkdir()
    options = ["--arch=gist_whisper", f"--whisper-path={tmp_path / 'empty'}"]
    assert "found a folder without config.json" in refused(whisper_data, *options)
    options[1] += "/none"
    assert "none: found no folder" in refused(whisper_data, *options)


def test_a_model_of_english_alone(whisper_data, copy):
    options = with_settings(copy, "generation_config.json", is_multilingual=False)
    message = "this is a model of English alone (as those called '.en' are), which has no language"
    assert message in refused(whisper_data, *options)
    (copy / "generation_config.json").unlink()
    assert message in refused(whisper_data, *with_settings(copy, vocab_size=51864))


def test_a_folder_that_lacks_a_part(whisper_data, copy):
    options = with_settings(copy)
    for names, message in (
        (["model.safetensors"], "its weights can't be read"),
        (["tokenizer.json", "vocab.json"], "its tokenizer can't be read"),
        (["preprocessor_config.json"], "its feature extractor can't be read"),
    ):
        for name in names:
            (copy / name).rename(copy / f"hidden_{name}")
        assert message in refused(whisper_data, *options), names
        for name in names:
            (copy / f"hidden_{name}").rename(copy / name)


def test_parts_that_are_not_of_one_model(whisper_data, copy):
    line = refused(whisper_data, *with_settings(copy, "preprocessor_config.json", feature_size=40))
    assert "the model expects 100 frames of 80 bins, its feature extractor makes 100 of 40" in line
    with_settings(copy, "preprocessor_config.json", feature_size=80)
    line = refused(whisper_data, *with_settings(copy, decoder_layers=3))
    assert "its weights lack 'model.decoder.layers.2." in line
    options = with_settings(copy, decoder_layers=2, vocab_size=60)
    assert "but its model has 60 symbols; are they of one model?" in refused(whisper_data, *options)


def changed(data, out, old, new):
    for name in ("train", "dev"):
        text = (data / f"{name}.tsv").read_text(encoding="utf-8")
        (out / f"{name}.tsv").write_text(text.replace(old, new), encoding="utf-8")
    (out / "config_st.yaml").write_text(f"audio_root: {data}\n", encoding="utf-8")
    return out


def test_languages_that_whisper_does_not_know(whisper_data, model_options, tmp_path):
    line = refused(changed(whisper_data, tmp_path, "\ten\n", "\teng\n"), *model_options)
    assert "train.tsv, line 2: tgt_lang 'eng' is none of the 4 languages that the tok" in line
    assert "it names languages by two letters as a rule, this one en" in line
    line = refused(changed(whisper_data, tmp_path, "\tde\ten\n", "\tdeu\ten\n"), *model_options)
    assert "train.tsv, line 2: src_lang 'deu' is none of the 4 languages that Whisper hea" in line
    with pytest.raises(SystemExit, match="--languages: 'fr' has no tag '<lang:fr>' in the voc"):
        build(whisper_data, "--ignore-prefix-size=3", "--languages=fr", model=model_options)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--whisper-window=half", "--whisper-window: expected short or full, found 'half'"),
        ("--whisper-silence=-1", "--whisper-silence: expected 0 or more seconds, found -1.0"),
        ("--ignore-prefix-size=1", "begins with 3 symbols that it doesn't choose; expected 3, fo"),
        ("--seamless-path=x", "--seamless-path and --whisper-path exclude each other"),
    ],
)
def test_options_that_cannot_be(whisper_data, model_options, option, message):
    assert message in refused(whisper_data, *model_options, option)


def test_features_that_do_not_fit(whisper_data, model_options):
    task, model, _ = build_whisper(whisper_data, model=model_options)
    net_input = batch_of(task, 2)["net_input"]
    rows = net_input["src_tokens"].size(0)
    narrow = {**net_input, "src_tokens": torch.zeros(rows, 50, 40)}
    with pytest.raises(DataError, match=r"of shape \[utterances, frames, 80\], found \[2, 50, 4"):
        model(**narrow)
    with pytest.raises(DataError, match="Whisper: 140 frames of audio; its window has 100"):
        model(**{**net_input, "src_tokens": torch.zeros(rows, 140, 80)})


def test_the_model_without_its_folder_and_the_folder_without_the_model(whisper_data, folder):
    line = refused(whisper_data, "--arch=gist_whisper")
    assert "give its folder with --seamless-path or --whisper-path" in line
    line = refused(whisper_data, f"--whisper-path={folder}", "--arch=gist_s2t_transformer_xs")
    assert "--whisper-path goes with --arch gist_whisper, found gist_s2t_transformer_xs" in line


def test_a_checkpoint_that_does_not_say_its_folder(differentiated, folder, tmp_path, capsys):
    content = read_checkpoint(str(differentiated.checkpoint))
    del content["cfg"]["model"].whisper_path
    silent, out = tmp_path / "silent.pt", tmp_path / "out"
    torch.save(content, silent)
    export = ["export", str(silent), "--language=de", "-o", str(out)]
    assert gist(export) == 1
    found = capsys.readouterr().err
    assert f"{silent} doesn't say from which folder its model was trained: name it, with" in found
    assert gist([*export, f"--whisper-path={folder}"]) == 0, capsys.readouterr().err
    assert (out / "model.safetensors").is_file()


def test_a_plan_is_made_from_the_folder_alone(folder, tmp_path, capsys):
    out = tmp_path / "plan.json"
    command = ["plan", "cross-attention", "--arch=whisper", "--languages=de,es"]
    command += [f"--whisper-path={folder}", "-o", str(out)]
    assert gist([*command, "--dict-size=90"]) == 1
    assert "--dict-size: the vocabulary is that of --whisper-path" in capsys.readouterr().err
    assert gist(command) == 0, capsys.readouterr().err
