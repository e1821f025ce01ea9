"""A tiny Whisper, data for it, and a run on them."""

import numpy as np
import pytest
import soundfile

from tests.e2e.whisper.tiny import TEXTS, write_folder

DIFFERENTIATION = (
    "--differentiate-at=4",
    "--gradient-window=4",
    "--gradient-chunks=4",
    "--size-budget=1.3",
    r"--units=(encoder|decoder)\.(.*layers\..+|.*layer_norm)",
)
PREFIX = {"--ignore-prefix-size": "3"}
"""What a run of Whisper has otherwise than those of the other models."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A tiny Whisper as `save_pretrained` writes it."""
    return write_folder(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="session")
def whisper_data(tmp_path_factory):
    """Three spoken languages into English: sounds of tones and noise in wav files."""
    root = tmp_path_factory.mktemp("data")
    (root / "config_st.yaml").write_text(f"audio_root: {root}\n", encoding="utf-8")
    generator = np.random.default_rng(1)
    columns = ("id", "audio", "n_frames", "tgt_text", "src_lang", "tgt_lang")
    for name, count in (("train", 8), ("dev", 4)):
        lines = ["\t".join(columns)]
        for number in range(count):
            for language in ("de", "es", "ru"):
                samples = int(generator.integers(5000, 12000))
                path = f"{name}_{number}_{language}.wav"
                time = np.arange(samples) / 16000
                tone = np.sin(2 * np.pi * generator.uniform(150, 3000) * time)
                sound = 0.2 * tone + generator.normal(scale=0.02, size=samples)
                soundfile.write(root / path, sound, 16000)
                text = TEXTS[number % len(TEXTS)]
                frames = str(samples // 160)
                lines.append("\t".join((path, path, frames, text, language, "en")))
        (root / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def translated(whisper_data, tmp_path_factory):
    """Every utterance, Russian to Whisper, with translations into two languages."""
    root = tmp_path_factory.mktemp("translated")
    lines = (whisper_data / "dev.tsv").read_text(encoding="utf-8").splitlines()
    once = ["\t".join([*line.split("\t")[:4], "ru", "en"]) for line in lines[1:]]
    twice = [line[: -len("en")] + "es" for line in once]
    for name in ("train", "dev"):
        text = "\n".join([lines[0], *once, *twice]) + "\n"
        (root / f"{name}.tsv").write_text(text, encoding="utf-8")
    (root / "config_st.yaml").write_text(f"audio_root: {whisper_data}\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def model_options(folder):
    """What says that the model is the tiny Whisper."""
    return ["--arch=gist_whisper", f"--whisper-path={folder}"]


@pytest.fixture(scope="session")
def options(whisper_data, model_options):
    """The beginning of every command line: data, languages and model."""
    return [str(whisper_data), "--language-key=src", *model_options]


@pytest.fixture(scope="session")
def train_whisper(train, options):
    """Train a tiny Whisper: ``train_whisper(folder, *options)`` gives a run."""

    def run(folder, *extra):
        command = [*options, "--max-tokens=600", *extra]
        return train(folder, *command, model=[], replace_data=True, recipe_changes=PREFIX)

    return run


@pytest.fixture(scope="session")
def differentiated(train_whisper, tmp_path_factory):
    """A run that split units of encoder and decoder after 4 of 6 updates."""
    folder = tmp_path_factory.mktemp("differentiated")
    statistics = f"--save-gradient-statistics={folder / 'statistics.npz'}"
    return train_whisper(folder, "--max-update=6", *DIFFERENTIATION, statistics)
