"""A tiny SeamlessM4T and data for it."""

import csv

import pytest
import yaml

from tests.e2e.seamless.tiny import write_folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A tiny SeamlessM4T as `save_pretrained` writes it."""
    return write_folder(tmp_path_factory.mktemp("seamless"))


@pytest.fixture(scope="session")
def deep_folder(tmp_path_factory):
    """One with the twelve layers of the medium speech encoder."""
    return write_folder(tmp_path_factory.mktemp("deep"), speech_encoder_layers=12)


@pytest.fixture(scope="session")
def seamless_data(spoken, tmp_path_factory):
    """Three spoken languages into English, called as the tokenizer calls it."""
    out = tmp_path_factory.mktemp("data")
    for name in ("train", "dev", "multiway", "tst-COMMON"):
        with open(spoken / f"{name}.tsv", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        column = rows[0].index("tgt_lang")
        for row in rows[1:]:
            row[column] = "eng"
        text = "".join("\t".join(row) + "\n" for row in rows)
        (out / f"{name}.tsv").write_text(text, encoding="utf-8")
    config = yaml.safe_load((spoken / "config_st.yaml").read_text())
    config.pop("specaugment", None)
    config["transforms"] = {"*": ["utterance_cmvn"]}
    (out / "config_st.yaml").write_text(yaml.safe_dump(config))
    return out


@pytest.fixture(scope="session")
def model_options(folder):
    """What says that the model is the tiny SeamlessM4T."""
    return ["--arch=gist_seamless_m4t", f"--seamless-path={folder}"]
