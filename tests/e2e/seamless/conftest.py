"""A tiny SeamlessM4T, data for it, and a run on them."""

import numpy as np
import pytest

from tests.e2e.seamless.tiny import TEXTS, write_folder

DIFFERENTIATION = (
    "--differentiate-at=4",
    "--gradient-window=4",
    "--gradient-chunks=4",
    "--size-budget=1.3",
    r"--units=(encoder|decoder)\.(.*layers\..+|.*layer_norm)",
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A tiny SeamlessM4T as `save_pretrained` writes it."""
    return write_folder(tmp_path_factory.mktemp("seamless"))


@pytest.fixture(scope="session")
def seamless_data(tmp_path_factory):
    """Three spoken languages into English: log-mels of noise, as `prepare` would keep them."""
    root = tmp_path_factory.mktemp("data")
    (root / "config_st.yaml").write_text(f"audio_root: {root}\n", encoding="utf-8")
    generator = np.random.default_rng(1)
    columns = ("id", "audio", "n_frames", "tgt_text", "src_lang", "tgt_lang")
    for name, count in (("train", 8), ("dev", 4)):
        lines = ["\t".join(columns)]
        for number in range(count):
            for language in ("de", "es", "ru"):
                frames = int(generator.integers(40, 90))
                path = f"{name}_{number}_{language}.npy"
                sound = generator.normal(size=(frames, 80)) + number
                np.save(root / path, sound.astype(np.float32))
                text = TEXTS[number % len(TEXTS)]
                lines.append("\t".join((path, path, str(frames), text, language, "eng")))
        (root / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def model_options(folder):
    """What says that the model is the tiny SeamlessM4T."""
    return ["--arch=gist_seamless_m4t", f"--seamless-path={folder}"]


@pytest.fixture(scope="session")
def options(seamless_data, model_options):
    """The beginning of every command line: data, languages and model."""
    return [str(seamless_data), "--language-key=src", *model_options]


@pytest.fixture(scope="session")
def differentiated(train, options, tmp_path_factory):
    """A run that split units of encoder and decoder after 4 of 6 updates."""
    folder = tmp_path_factory.mktemp("differentiated")
    return train(
        folder,
        *options,
        "--max-update=6",
        "--max-tokens=600",
        *DIFFERENTIATION,
        f"--save-gradient-statistics={folder / 'statistics.npz'}",
        model=[],
        replace_data=True,
    )
