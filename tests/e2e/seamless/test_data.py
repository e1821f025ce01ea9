"""The vocabulary, subwords and features of a SeamlessM4T in fairseq's hands."""

import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch

from fairseq_gist.architectures import of_arch
from fairseq_gist.architectures.seamless_m4t.dictionary import SeamlessDictionary
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import languages_of_vocabulary
from fairseq_gist.sound.filterbank import filterbank
from tests.e2e.seamless.tiny import LANGUAGES, TEXTS

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")


def made(folder):
    architecture = of_arch("seamless_m4t")
    return architecture.inputs_from(architecture.options(seamless_path=folder))


@pytest.fixture(scope="module")
def parts(folder):
    return made(str(folder))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """One second and a bit of a rising tone with noise, an odd number of frames."""
    time = np.arange(16000 + 500) / 16000
    samples = 0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time)
    samples += np.random.default_rng(0).normal(scale=0.01, size=samples.shape)
    samples = samples.astype(np.float32)
    path = tmp_path_factory.mktemp("sound") / "tone.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return samples, path


def tokenizer_of(folder):
    from transformers import SeamlessM4TTokenizer

    return SeamlessM4TTokenizer.from_pretrained(str(folder), local_files_only=True)


def test_every_symbol_has_the_id_of_the_tokenizer(parts, folder):
    dictionary, tokenizer = parts.dictionary, tokenizer_of(folder)
    for name in ("bos", "pad", "eos", "unk"):
        assert getattr(dictionary, name)() == getattr(tokenizer, f"{name}_token_id")
    assert [dictionary.pad(), dictionary.unk(), dictionary.bos(), dictionary.eos()] == [0, 1, 2, 3]
    assert languages_of_vocabulary(dictionary.symbols) == list(LANGUAGES)
    for language in LANGUAGES:
        own = tokenizer.convert_tokens_to_ids(f"__{language}__")
        assert dictionary.index(f"<lang:{language}>") == own
    assert len(dictionary) == len(tokenizer) + 3
    assert dictionary[len(tokenizer)] == f"madeupword{len(tokenizer)}"


@pytest.mark.parametrize("text", [*TEXTS, "an unheard-of thing: Ω  and  spaces "])
def test_a_text_has_the_ids_that_the_tokenizer_gives_it(parts, folder, text):
    dictionary, tokenizer = parts.dictionary, tokenizer_of(folder)
    found = dictionary.encode_line(parts.pieces.encode(text), add_if_not_exist=False).tolist()
    expected = tokenizer(text_target=text, tgt_lang="eng").input_ids
    assert [dictionary.eos(), dictionary.index("<lang:eng>"), *found] == expected
    back = parts.pieces.decode(dictionary.string(torch.tensor(found)))
    assert back.replace("<unk>", "") == tokenizer.decode(expected, skip_special_tokens=True).strip()


def test_features_of_sound_are_those_of_the_extractor(parts, folder, sound):
    from transformers import SeamlessM4TFeatureExtractor

    samples, path = sound
    extractor = SeamlessM4TFeatureExtractor.from_pretrained(str(folder))
    made = extractor(samples, sampling_rate=16000, return_tensors="pt")
    kept = made["attention_mask"][0].bool()
    assert not kept.all()  # the last frame has no other to go with
    found = parts.features(str(path))
    assert found.shape == (50, 160)
    assert torch.equal(found, made["input_features"][0][kept])
    assert parts.length(str(path)) == 103


def test_filterbanks_of_prepare_become_the_same_features(parts, sound, tmp_path):
    samples, path = sound
    np.save(tmp_path / "mels.npy", filterbank(samples))
    from_sound, from_mels = parts.features(str(path)), parts.features(str(tmp_path / "mels.npy"))
    difference = (from_sound - from_mels).abs().max().item()
    print(f"features differ by {difference}")  # noqa: T201
    assert from_sound.shape == from_mels.shape
    assert difference < 1e-2
    np.save(tmp_path / "made.npy", from_sound.numpy())
    assert torch.equal(parts.features(str(tmp_path / "made.npy")), from_sound)


def test_sound_at_another_rate_and_inside_a_zip(parts, sound, tmp_path):
    samples, path = sound
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, samples], 1), 8000)
    assert parts.features(str(tmp_path / "stereo.wav")).size(1) == 160
    data = path.read_bytes()
    (tmp_path / "all.zip").write_bytes(b"before" + data)
    place = f"{tmp_path / 'all.zip'}:6:{len(data)}"
    assert torch.equal(parts.features(place), parts.features(str(path)))


def test_specaugment_masks_frames_and_normalisation_is_done_once(parts, sound):
    class UtteranceCMVN:
        def __call__(self, frames):
            raise AssertionError("these features are normalised already")

    class Mask:
        def __call__(self, frames):
            assert frames.shape == (100, 80)
            return np.zeros_like(frames)

    class Both:
        transforms = (UtteranceCMVN(), Mask())

    assert parts.features(str(sound[1]), Both()).eq(0).all()


def test_files_that_cannot_be_read(parts, tmp_path):
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    with pytest.raises(DataError, match=r"text.wav: neither readable audio nor features"):
        parts.features(str(tmp_path / "text.wav"))
    soundfile.write(tmp_path / "short.wav", np.zeros(300), 16000)
    with pytest.raises(DataError, match=r"short.wav: 300 samples at 16000 Hz are too few"):
        parts.features(str(tmp_path / "short.wav"))
    loud = np.full(16000, 1e15, dtype=np.float32)
    soundfile.write(tmp_path / "loud.wav", loud, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match=r"loud.wav: the sample at 0.0000 s is 1e\+15; expected"):
        parts.features(str(tmp_path / "loud.wav"))
    with pytest.raises(DataError, match=r"none.npy"):
        parts.features(str(tmp_path / "none.npy"))


def test_a_tokenizer_that_only_has_its_sentencepiece_model(folder, tmp_path):
    from tests.e2e.seamless.tiny import write_tokenizer

    shutil.copytree(folder, tmp_path / "copy")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "copy" / name).unlink()
    write_tokenizer(tmp_path / "copy", keep_model=True)
    (tmp_path / "copy" / "tokenizer.json").unlink()
    data, again = made(str(folder)), made(str(tmp_path / "copy"))
    assert data.dictionary.symbols == again.dictionary.symbols


def test_a_tokenizer_without_languages(folder):
    class Untagged:
        bos_token, pad_token, eos_token, unk_token = "<s>", "<pad>", "</s>", "<unk>"
        all_special_tokens = ("<s>", "<pad>", "</s>", "<unk>")

        def __init__(self, **symbols):
            self.symbols = {"<pad>": 0, "<unk>": 1, "<s>": 2, "</s>": 3, **symbols}

        def get_vocab(self):
            return self.symbols

        def get_added_vocab(self):
            return {symbol: i for symbol, i in self.symbols.items() if symbol.startswith("__")}

    assert len(SeamlessDictionary(Untagged(__eng__=4), 6, "it")) == 6
    with pytest.raises(OptionError, match="it has no tag of a language, such as '__eng__'"):
        SeamlessDictionary(Untagged(), 6, "it")
    with pytest.raises(OptionError, match="it has ids up to 9, but its model has 6 symbols"):
        SeamlessDictionary(Untagged(a=9), 6, "it")
