"""A folder of transformers and a checkpoint translate recordings without any data folder."""

import sys

import pytest
import soundfile

from fairseq_gist import load
from fairseq_gist.errors import OptionError
from tests.e2e.whisper.conftest import PREFIX
from tests.e2e.whisper.helpers import by_transformers

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def recording(whisper_data):
    return whisper_data / "dev_0_ru.wav"


def test_a_folder_translates_as_transformers_alone(folder, whisper_data):
    from transformers import (
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    model = load(folder, whisper_window="full")
    recordings = [whisper_data / f"dev_{number}_ru.wav" for number in range(4)]
    found = model.translate(recordings, "en", source_language="rus", beam=1)
    theirs = WhisperForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)
    extractor = WhisperFeatureExtractor.from_pretrained(str(folder))
    sounds = [soundfile.read(str(path))[0] for path in recordings]
    features = extractor(sounds, sampling_rate=16000, return_tensors="pt")["input_features"]
    rows = by_transformers(theirs.eval(), features, ["ru"] * 4, 1)
    tokenizer = WhisperTokenizer.from_pretrained(str(folder))
    texts = [tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]
    print(list(map(str, found)), texts)  # noqa: T201
    assert any(texts)
    # of what doesn't end, they have 20 tokens
    assert all(str(one).startswith(text) for one, text in zip(found, texts))


def test_several_languages_are_one_at_a_time(folder, recording):
    model = load(folder)
    languages = model.languages[:3]
    together = model.translate(recording, languages, source_language="ru")
    for language in languages:
        alone = model.translate(recording, language, source_language="ru")
        assert together[language] == alone


def test_what_is_spoken_has_to_be_said_for_english(folder, recording):
    model = load(folder)
    with pytest.raises(
        OptionError,
        match="^--source-language: nothing says what is spoken",
    ):
        model.translate(recording, "en")
    with pytest.raises(OptionError, match="--language: whisper0? translates into"):
        model.translate(recording, "tlh")


def test_a_checkpoint_brings_all_but_its_folder(differentiated, folder, recording, tmp_path):
    moved = tmp_path / "moved.pt"
    moved.write_bytes(differentiated.checkpoint.read_bytes())
    model = load(moved, device="cpu")
    assert model.translate(recording, "en", source_language="ru").language == "en"
    with pytest.raises(OptionError, match="--source-language: moved.pt tells apart what is spoken"):
        model.translate(recording, "en")
    with pytest.raises(OptionError, match="--whisper-path .*no folder"):
        load(moved, whisper_path=str(tmp_path / "none"))


def test_into_english_and_others_each_language_has_its_own(
    train, translated, model_options, recording, tmp_path
):
    """What is spoken begins the English ones, as in training, and is none of its languages."""
    split = ["--differentiate-at=1", "--differentiate-by=language-specific", "--max-update=2"]
    run = train(
        tmp_path, str(translated), *model_options, "--max-tokens=600", *split,
        model=[], replace_data=True, recipe_changes=PREFIX,
    )  # fmt: skip
    model = load(run.checkpoint, device="cpu")
    assert model.languages == ["en", "es"]
    english, spanish = model.wanted(["eng", "es"], "ru")
    assert (english.language, spanish.language) == (0, 1)
    tags = [model._task.target_dictionary[one.prefix[0]] for one in (english, spanish)]
    assert tags == ["<lang:ru>", "<lang:es>"]
    both = model.translate(recording, ["en", "es"], source_language="ru")
    for language, found in both.items():
        assert found == model.translate(recording, language, source_language="ru")
