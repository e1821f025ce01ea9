"""A folder of transformers translates recordings without any data folder."""

import sys

import numpy as np
import pytest
import soundfile

from fairseq_gist import load
from fairseq_gist.errors import GistError

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "noise.flac"
    noise = np.random.default_rng(2).normal(size=(30000, 2)) / 9
    soundfile.write(str(path), noise, 22050)
    return path


def test_several_languages_by_either_code(folder, recording):
    model = load(folder)
    together = model.translate(recording, ["en", "spa"], beam=2)
    assert list(together) == ["en", "spa"]
    for language, found in (("eng", together["en"]), ("es", together["spa"])):
        assert model.translate(recording, language, beam=2).segments == found.segments
    with pytest.raises(
        GistError, match="--language: .* translates into deu, eng, spa, found 'tlh'"
    ):
        model.translate(recording, "tlh")


def test_a_differentiated_checkpoint(differentiated, recording):
    model = load(differentiated.checkpoint)
    found = model.translate(recording, "eng", source_language="ru", beam=2)
    assert [round(one.end, 2) for one in found.segments] == [1.36]


def test_a_folder_of_another_model_is_told(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(GistError, match="a model of type 'bert'; of transformers' models"):
        load(tmp_path)
