"""The vocabulary, subwords, features and prompts of a Whisper in fairseq's hands."""

import sys

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist.architectures import of_arch
from fairseq_gist.architectures.whisper.dictionary import WhisperDictionary
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import languages_of_vocabulary
from fairseq_gist.sound.filterbank import filterbank
from tests.e2e.whisper.tiny import LANGUAGES, TEXTS

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def made(folder, **options):
    architecture = of_arch("whisper")
    return architecture.inputs_from(architecture.options(whisper_path=str(folder), **options))


@pytest.fixture(scope="module")
def parts(folder):
    return made(folder)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Two thirds of a second of a rising tone with noise."""
    time = np.arange(10700) / 16000
    samples = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time)
    samples += np.random.default_rng(0).normal(scale=0.01, size=samples.shape)
    samples = samples.astype(np.float32)
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return samples, path


def tokenizer_of(folder):
    from transformers import WhisperTokenizer

    return WhisperTokenizer.from_pretrained(str(folder), local_files_only=True)


def test_every_symbol_has_the_id_of_the_tokenizer(parts, folder):
    dictionary, tokenizer = parts.dictionary, tokenizer_of(folder)
    assert dictionary.eos() == tokenizer.eos_token_id
    specials = [dictionary.bos(), dictionary.pad(), dictionary.eos(), dictionary.unk()]
    assert len(set(specials)) == 4
    assert languages_of_vocabulary(dictionary.symbols) == list(LANGUAGES)
    for language in LANGUAGES:
        own = tokenizer.convert_tokens_to_ids(f"<|{language}|>")
        assert dictionary.index(f"<lang:{language}>") == own
    assert len(dictionary) == len(tokenizer)


@pytest.mark.parametrize("text", [*TEXTS, "an unheard-of thing: Ω  and  spaces", "<|endoftext|>"])
def test_a_text_has_the_ids_that_the_tokenizer_gives_it(parts, folder, text):
    dictionary, tokenizer = parts.dictionary, tokenizer_of(folder)
    found = dictionary.encode_line(parts.pieces.encode(text), add_if_not_exist=False).tolist()
    expected = tokenizer.encode(f" {text}", add_special_tokens=False, split_special_tokens=True)
    assert found == [*expected, dictionary.eos()]
    assert parts.pieces.decode(dictionary.string(torch.tensor(found))) == text


@pytest.mark.parametrize(
    ("source", "target", "language", "task"),
    [
        ("de", "en", "de", "translate"),
        ("en", "en", "en", "transcribe"),
        ("en", "de", "de", "transcribe"),
        ("de", "de", "de", "transcribe"),
        ("de", "ru", "ru", "transcribe"),
        ("", "ru", "ru", "transcribe"),
    ],
)
def test_the_prompt_is_whispers_own(parts, folder, source, target, language, task):
    expected = (f"<lang:{language}>", f"<|{task}|>", "<|notimestamps|>")
    assert parts.prefix(source, target) == expected
    tokenizer = tokenizer_of(folder)
    ids = tokenizer.convert_tokens_to_ids([f"<|{language}|>", f"<|{task}|>", "<|notimestamps|>"])
    assert [parts.dictionary.index(symbol) for symbol in expected] == ids


def test_a_prompt_can_name_the_target_always(folder):
    own = made(folder, whisper_prompt="target")
    assert own.prefix("xx", "en") == ("<lang:en>", "<|transcribe|>", "<|notimestamps|>")
    with pytest.raises(OptionError, match="--whisper-prompt: expected auto or target, found 'b'"):
        made(folder, whisper_prompt="b")


def test_a_language_that_whisper_does_not_hear(parts):
    with pytest.raises(DataError, match="src_lang 'xx' is none of the 4 languages that Whisper"):
        parts.prefix("xx", "en")
    with pytest.raises(DataError, match="nothing says what is spoken .src_lang., to be one of"):
        parts.prefix("", "en")


def test_features_of_sound_are_those_of_the_extractor(parts, folder, sound):
    """And the last of them fills the window as it does."""
    from transformers import WhisperFeatureExtractor

    samples, path = sound
    extractor = WhisperFeatureExtractor.from_pretrained(str(folder))
    expected = extractor(samples, sampling_rate=16000, return_tensors="pt")["input_features"][0].T
    found = parts.features(str(path))
    assert found.shape == (70, 80)
    assert parts.length(str(path)) == 66
    difference = (found - expected[:70]).abs().max().item()
    rest = (expected[70:] - found[-1]).abs().max().item()
    print(f"features differ by {difference}, the rest of the window by {rest}")  # noqa: T201
    assert difference < 1e-6
    assert rest == 0.0


def test_sound_as_long_as_the_window_or_a_little_longer(parts, tmp_path):
    noise = np.random.default_rng(1).normal(scale=0.1, size=16400)
    for samples, frames in ((16000, 101), (16300, 101), (200, 4)):
        soundfile.write(tmp_path / "noise.wav", noise[:samples], 16000)
        assert parts.features(str(tmp_path / "noise.wav")).shape == (frames, 80)
    soundfile.write(tmp_path / "long.wav", np.tile(noise, 2), 16000)
    with pytest.raises(DataError, match=r"long.wav: 2.05 s of sound; Whisper hears 1 s"):
        parts.features(str(tmp_path / "long.wav"))


def test_features_that_were_made_before(parts, sound, tmp_path):
    own = parts.features(str(sound[1]))
    np.save(tmp_path / "own.npy", own[:-1].numpy())
    found = parts.features(str(tmp_path / "own.npy"))
    assert (found - own).abs().max() < 1e-6
    np.save(tmp_path / "kaldi.npy", filterbank(sound[0]))
    with pytest.raises(DataError, match=r"kaldi.npy: features from .* where Whisper's are at most"):
        parts.features(str(tmp_path / "kaldi.npy"))
    np.save(tmp_path / "narrow.npy", np.zeros((50, 40), dtype=np.float32))
    with pytest.raises(DataError, match=r"expected audio, or features \[frames, 80\] .* \[50, 40"):
        parts.features(str(tmp_path / "narrow.npy"))


def test_specaugment_leaves_the_silence(parts, sound):
    class UtteranceCMVN:
        def __call__(self, frames):
            raise AssertionError("these features are normalised already")

    class Mask:
        def __call__(self, frames):
            return np.zeros_like(frames)

    class Both:
        transforms = (UtteranceCMVN(), Mask())

    found = parts.features(str(sound[1]), Both())
    assert found[:-1].eq(0).all()
    assert torch.equal(found[-1], parts.features(str(sound[1]))[-1])


def test_files_that_cannot_be_read(parts, tmp_path):
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    with pytest.raises(DataError, match=r"text.wav: neither readable audio nor features"):
        parts.features(str(tmp_path / "text.wav"))
    soundfile.write(tmp_path / "short.wav", np.zeros(100), 16000)
    with pytest.raises(DataError, match=r"short.wav: 100 samples at 16000 Hz are too few"):
        parts.features(str(tmp_path / "short.wav"))
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16000)
    assert parts.features(str(tmp_path / "silent.wav")).eq(-1.5).all()


def test_a_tokenizer_without_what_whisper_is_asked_with(folder, tmp_path):
    from tests.e2e.whisper.tiny import SPECIAL, write_tokenizer

    whole = WhisperDictionary(tokenizer_of(folder), 400, "it")
    assert whole[399] == "madeupword399"
    with pytest.raises(OptionError, match="it has ids up to 362, but its model has 60 symbols"):
        WhisperDictionary(tokenizer_of(folder), 60, "it")
    asks = [one for one in SPECIAL if one != "<|translate|>"]
    with pytest.raises(OptionError, match=r"it lacks '<\|translate\|>', with which Whisper is as"):
        WhisperDictionary(write_tokenizer(tmp_path, asks), 400, "it")
    mute = [one for one in SPECIAL if len(one) != len("<|de|>")]
    with pytest.raises(OptionError, match=r"it has no tag of a language, such as '<\|de\|>'"):
        WhisperDictionary(write_tokenizer(tmp_path, mute), 400, "it")
