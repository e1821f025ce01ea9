"""Recordings translated by a command, and by three lines of Python."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist import load
from fairseq_gist.cli.main import main as gist
from fairseq_gist.errors import GistError
from fairseq_gist.host.checkpoints import read_checkpoint, write_checkpoint
from fairseq_gist.sound.audio import resample
from tests.e2e.helpers import build, differentiate_at_random, disturb_copies
from tests.e2e.test_checkpoints import fairseq
from tests.e2e.test_source_side import KEY, UNTAGGED

LIMITS = ("--max-len-a=0.12", "--max-len-b=20", "--beam=5")


@pytest.fixture(scope="module")
def talk(data):
    """Samples of a recorded talk in English, and their rate."""
    path = next((data.parent / "en-de" / "data" / "tst-COMMON" / "wav").glob("*.wav"))
    return soundfile.read(str(path), dtype="float32")


@pytest.fixture(scope="module")
def short(talk, tmp_path_factory):
    """Three seconds of it."""
    path = tmp_path_factory.mktemp("short") / "talk.wav"
    soundfile.write(str(path), talk[0][: 3 * talk[1]], talk[1])
    return path


@pytest.fixture(scope="module")
def checkpoint(differentiated, tmp_path_factory):
    """One that has something to say: after so few updates a model ends its sentences at once."""
    content = read_checkpoint(str(differentiated.checkpoint))
    torch.manual_seed(1)
    for value in content["model"].values():
        if value.is_floating_point():
            value += 0.3 * torch.randn_like(value) * (value.dim() > 1)
    path = tmp_path_factory.mktemp("talkative") / "talkative.pt"
    write_checkpoint(content, str(path))
    return path


@pytest.fixture(scope="module")
def model(checkpoint):
    return load(checkpoint)


def texts(translation):
    return [segment.text for segment in translation.segments]


@pytest.mark.slow
def test_a_recording_is_translated_as_fairseq_does_it(
    checkpoint, model, data, short, repo_root, tmp_path
):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{short}\n", encoding="utf-8")
    done = fairseq(
        "interactive", data, "--task=gist_speech_to_text", "--config-yaml=config_st.yaml",
        "--prefix-size=1", "--max-tokens=4000", "--cpu", f"--input={listed}", *LIMITS,
        f"--path={checkpoint}", "--target-language=nl",
        plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("D-")]
    assert len(lines) == 1
    assert str(model.translate(short, "nl")) == lines[0][2].strip()
    assert lines[0][2].strip()


def test_several_languages_are_one_at_a_time_with_the_encoder_run_once(data, short, monkeypatch):
    """Here the encoder, too, is split, so that languages share what they share of it."""
    from fairseq_gist.translating.translator import Translator

    task, built, _ = build(data)
    differentiate_at_random(built, task.languages, pattern=r"(encoder|decoder)\..+")
    disturb_copies(built)
    model = Translator(task, built, 6000, "random")
    heard = []
    built.encoder.subsample.register_forward_hook(
        lambda module, inputs, output: heard.append(inputs[0].size(0))
    )
    languages = ["ru", "de", "nl"]
    together = model.translate(short, languages)
    assert sum(heard) <= len(set(languages))
    alone = {language: model.translate(short, language) for language in languages}
    assert {name: texts(one) for name, one in together.items()} == {
        name: texts(one) for name, one in alone.items()
    }
    assert len({str(one) for one in alone.values()}) > 1


def test_a_shared_encoder_hears_an_utterance_once(model, short):
    heard = []
    handle = model._model.encoder.subsample.register_forward_hook(
        lambda module, inputs, output: heard.append(inputs[0].size(0))
    )
    model.translate(short, ["de", "es", "ru"])
    handle.remove()
    assert heard == [1]


def test_any_rate_format_and_channels(model, talk, tmp_path):
    sound, rate = talk[0][: 2 * talk[1]], talk[1]
    files = {
        "plain.wav": (sound, rate),
        "stereo.flac": (np.stack([sound, sound], axis=1), rate),
        "fast.wav": (resample(sound, rate, 44100), 44100),
        "slow.ogg": (resample(sound, rate, 8000), 8000),
    }
    for name, (samples, own) in files.items():
        soundfile.write(str(tmp_path / name), samples, own)
    found = model.translate([tmp_path / name for name in files], "de")
    assert str(found[0]) == str(found[1])
    # a model of noise makes other sentences of next to nothing: of the others the first word
    assert len({str(one).split()[0] for one in found[:3]}) == 1
    assert [round(one.segments[0].end, 2) for one in found] == [2.0] * 4


def test_a_long_recording_is_its_segments(model, talk, tmp_path):
    sound, rate = talk
    pause = np.zeros(3 * rate, dtype=np.float32)
    first, second = sound[: 3 * rate], sound[4 * rate : 8 * rate]
    soundfile.write(str(tmp_path / "long.wav"), np.concatenate([first, pause, second]), rate)
    found = model.translate(tmp_path / "long.wav", "de", longest_segment=5)
    assert len(found.segments) >= 2
    assert found.segments[0].start < 1
    assert all(one.end - one.start <= 5 for one in found.segments)
    assert all(one.end <= other.start for one, other in zip(found.segments, found.segments[1:]))
    one = found.segments[-1]
    part = np.concatenate([first, pause, second])[round(one.start * rate) : round(one.end * rate)]
    soundfile.write(str(tmp_path / "part.wav"), part, rate)
    assert str(model.translate(tmp_path / "part.wav", "de")) == one.text


def test_batches_do_not_mix_recordings_up(model, talk, tmp_path):
    sound, rate = talk
    paths = [tmp_path / f"{n}.wav" for n in range(4)]
    for number, path in enumerate(paths):
        soundfile.write(str(path), sound[number * rate : (2 * number + 2) * rate], rate)
    alone = [str(model.translate(path, "de", batch_seconds=1)) for path in paths]
    # one at a time, as padding changes the last frame of what is shorter (docs/translate.md)
    assert [str(one) for one in model.translate(paths, "de", batch_seconds=1)] == alone
    together = [str(one) for one in model.translate(paths, "de", batch_seconds=100)]
    assert together[-1] == alone[-1]


def test_exported_and_stock_checkpoints_are_translated_with(
    checkpoint, model, data, short, tmp_path
):
    exported = tmp_path / "german.pt"
    command = ["export", str(checkpoint), "--language=de", "-o", str(exported)]
    assert gist(command) == 0
    german = load(exported, data=data)
    assert str(german.translate(short, "de")) == str(model.translate(short, "de"))


@pytest.mark.slow
def test_spoken_languages_that_are_told_apart_have_to_be_named(train, spoken, tmp_path):
    run = train(tmp_path, str(spoken), KEY, UNTAGGED, "--max-update=1", replace_data=True)
    model = load(run.checkpoint)
    path = next((spoken.parent / "ru-en" / "data" / "dev" / "wav").glob("*.wav"))
    with pytest.raises(GistError, match="--source-language: checkpoint_last.pt tells apart what"):
        model.translate(path, "en")
    assert model.translate(path, "en", source_language="rus").language == "en"


def test_the_command_writes_files(checkpoint, model, short, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["translate", str(checkpoint), str(short), "--cpu"]
    command += ["--language=de,es", "--language=de"]
    assert gist([*command, "--format=srt,json,text", "-o", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "talk.de.srt", "talk.de.txt", "talk.es.srt", "talk.es.txt", "talk.json",
    ]  # fmt: skip
    found = json.loads((out / "talk.json").read_text(encoding="utf-8"))
    assert list(found["translations"]) == ["de", "es"]
    expected = str(model.translate(short, "es"))
    assert found["translations"]["es"]["text"] == expected
    assert (out / "talk.es.txt").read_text(encoding="utf-8") == f"{expected}\n"
    assert gist([*command, "--format=srt", "-o", str(out)]) == 0  # over its own
    assert gist([*command, "-o", str(out)]) == 1  # a text may be anything
    assert "talk.de.txt: that is another file, and would become transl" in capsys.readouterr().err
    assert gist([*command]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"# {short} [de]\n")
    assert printed.endswith(f"# {short} [es]\n{expected}\n")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--language=tlh"], "--language: talkative.pt translates into de, es, fr, it, nl,"),
        (["--language=de", "--beam=0"], "--beam: expected 1 or more, found 0"),
        (["--language=de", "--format=doc"], "--format: expected some of text, srt, vtt, json, fou"),
        (["--language=de,es", "--format=srt"], "are more than one file; name a folder for them w"),
        (["--language=de", "--longest-segment=90"], "takes 60 seconds at most, found 90"),
        (["--language=de", "--whisper-path=x"], "--whisper-path: "),
        (["--language=de", "--data=nowhere"], "nowhere: expected the folder of the data"),
    ],
)
def test_what_cannot_be_is_one_line(checkpoint, short, options, error, capsys):
    assert gist(["translate", str(checkpoint), str(short), *options]) == 1
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("fairseq-gist translate: error: ")
    assert error in told


def test_data_of_another_model_are_named(checkpoint, short, data, tmp_path, capsys):
    other = tmp_path / "data"
    shutil.copytree(data, other, ignore=shutil.ignore_patterns("*.zip"))
    model = next(other.glob("spm_*.model"))
    command = ["translate", str(checkpoint), str(short), f"--data={other}", "--language=de"]
    model.write_bytes(model.read_bytes()[:3000])
    assert gist(command) == 1
    assert f"config_st.yaml: its subword model {model} can't be" in capsys.readouterr().err
    vocabulary = next(other.glob("spm_*.txt"))
    lines = vocabulary.read_text(encoding="utf-8").splitlines(keepends=True)
    vocabulary.write_text("".join(lines[:50] + lines[51:]), encoding="utf-8")
    assert gist(command) == 1
    told = capsys.readouterr().err
    found = f"error: {other}: its vocabulary of {len(lines) + 3} symbols is not the one that"
    assert found in told


def test_a_terminal_that_cannot_show_it_loses_nothing(checkpoint, short, data):
    command = ["translate", str(checkpoint), str(short), "--language=ru", f"--data={data}"]
    program = "import sys; from fairseq_gist.cli.main import main; sys.exit(main(sys.argv[1:]))"
    found = [
        subprocess.run(
            [sys.executable, "-c", program, *command],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        ).stdout.decode(encoding)
        for encoding in ("utf-8", "ascii")
    ]
    assert found[0] == found[1].encode().decode("unicode-escape")
    assert not found[0].isascii()


def test_wrong_files_are_named(checkpoint, short, tmp_path, capsys, caplog):
    checkpoint = str(checkpoint)
    (tmp_path / "talk.txt").write_text("hello\n", encoding="utf-8")
    (tmp_path / "empty.wav").write_bytes(b"")
    soundfile.write(str(tmp_path / "silent.wav"), np.zeros(32000), 16000)
    soundfile.write(str(tmp_path / "whole.flac"), soundfile.read(str(short))[0], 16000)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    for name, error in (
        ("none.wav", "none.wav: no such file"),
        ("talk.txt", "talk.txt: not readable audio"),
        ("empty.wav", "empty.wav: the file is empty"),
        (".", "a folder, expected a file"),
    ):
        command = ["translate", checkpoint, str(short), str(tmp_path / name), "--language=de"]
        assert gist(command) == 1
        assert error in capsys.readouterr().err.strip().splitlines()[-1]
    names = [str(tmp_path / "cut.flac"), str(tmp_path / "silent.wav"), str(short)]
    assert gist(["translate", checkpoint, *names, "--language=de", "-o", str(tmp_path / "o")]) == 1
    told = capsys.readouterr().err
    assert "silent.wav: nothing to hear in it" in caplog.text
    assert "cut.flac: " in caplog.text
    assert "1 of 3 recordings could not be translated, the first: " in told
    assert "cut.flac: " in told.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "silent.de.txt", "talk.de.txt",
    ]  # fmt: skip
    assert gist(["translate", str(short), str(short), "--language=de"]) == 1
    assert "is no checkpoint that torch can read" in capsys.readouterr().err
