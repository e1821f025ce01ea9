"""The open corpus: grammar of the phrases, splits, and bytes that depend on the seed alone."""

import datetime
import hashlib
import json
import os
import wave
from pathlib import Path

import pytest

pytest.importorskip("babel")
pytest.importorskip("num2words")
pytest.importorskip("espeakng_loader")

from fairseq_gist.cli.main import main
from fairseq_gist.corpora.audio import link_audio
from fairseq_gist.corpora.cldr import build as building
from fairseq_gist.corpora.cldr import casting, numbers, phrases, speech, units
from fairseq_gist.corpora.cldr.build import build
from fairseq_gist.corpora.cldr.languages import LANGUAGES
from fairseq_gist.corpora.cldr.options import SIZES, CldrOptions
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.mustc import MustC
from fairseq_gist.sound.audio import read_wave


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "one"
    build(out, CldrOptions("tiny", seed=1), workers=1)
    return out


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------------------------- the phrases
@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (92, "de", "zweiundneunzig"),
        (92, "nl", "tweeënnegentig"),
        (92, "fr", "quatre-vingt-douze"),
        (80, "fr", "quatre-vingts"),
        (92, "es", "noventa y dos"),
        (21, "es", "veintiún"),
        (31, "es", "treinta y un"),
        (11, "es", "once"),
        (92, "ru", "девяносто два"),
        (23, "it", "ventitré"),
        (323, "it", "trecentoventitré"),
        (3, "it", "tre"),
        (16, "pt", "dezasseis"),
        (112, "en", "one hundred and twelve"),
    ],
)
def test_numbers_in_words(number, language, words):
    assert numbers.in_words(number, language) == words


def test_numbers_out_of_reach_are_refused():
    with pytest.raises(DataError, match="from 2 to 999, found 1000"):
        numbers.in_words(1000, "de")


@pytest.mark.parametrize(
    ("number", "genders", "right"),
    [
        (22, {"ru": "f"}, False),  # две недели
        (12, {"ru": "f"}, True),
        (5, {"ru": "f"}, True),
        (22, {"ru": "m"}, True),
        (200, {"es": "f"}, False),  # doscientas
        (200, {"pt": "f"}, False),
        (199, {"es": "f"}, True),
        (121, {"es": "f"}, False),
        (21, {"fr": "f"}, False),  # vingt et une
        (71, {"fr": "f"}, True),  # soixante et onze
        (12, {"ro": "n"}, False),  # douăsprezece
        (21, {"ro": "n"}, True),
        (21, {"ro": "f"}, False),
        (101, {}, False),  # hunderteins, hundertein, hundertundein
    ],
)
def test_numbers_with_another_gender_are_left_out(number, genders, right):
    assert numbers.agrees(number, genders) is right


@pytest.mark.parametrize(
    ("number", "russian", "romanian"),
    [
        (21, "двадцать один километр", "douăzeci și unu de kilometri"),
        (22, "двадцать два километра", "douăzeci și doi de kilometri"),
        (5, "пять километров", "cinci kilometri"),
        (112, "сто двенадцать километров", "o sută doisprezece kilometri"),
    ],
)
def test_plural_forms_follow_the_number(number, russian, romanian):
    phrase = phrases.measure(number, "length-kilometer")
    assert (phrase.targets["ru"], phrase.targets["ro"]) == (russian, romanian)


def test_one_unit_in_all_languages():
    phrase = phrases.measure(92, "area-square-meter")
    assert phrase.english == "ninety-two square meters"
    assert phrase.targets == {
        "de": "zweiundneunzig Quadratmeter",
        "es": "noventa y dos metros cuadrados",
        "fr": "quatre-vingt-douze mètres carrés",
        "it": "novantadue metri quadrati",
        "nl": "tweeënnegentig vierkante meter",
        "pt": "noventa e dois metros quadrados",
        "ro": "nouăzeci și doi de metri pătrați",
        "ru": "девяносто два квадратных метра",
    }


def test_portuguese_is_european_throughout():
    assert phrases.measure(16, "length-kilometer").targets["pt"] == "dezasseis quilómetros"


def test_relative_times():
    future, past = phrases.relative(5, "week"), phrases.relative(-17, "month")
    assert future.english == "in five weeks"
    assert future.targets["ru"] == "через пять недель"
    assert past.english == "seventeen months ago"
    assert past.targets["de"] == "vor siebzehn Monaten"  # dative
    assert past.targets["pt"] == "há dezassete meses"


def test_dates_have_plain_spaces():
    phrase = phrases.date(datetime.date(2021, 3, 5))
    assert phrase.targets["fr"] == "vendredi 5 mars 2021"
    assert phrase.targets["ru"] == "пятница, 5 марта 2021 г."  # noqa: RUF001


def test_no_unit_is_nameless_anywhere_and_all_spaces_are_plain():
    chosen = [phrases.measure(5, unit) for unit in units.UNITS]
    chosen += phrases.choose(300, seed=3)
    for phrase in chosen:
        for text in (phrase.english, *phrase.targets.values()):
            assert text == " ".join(text.split(" "))
            assert not set(text) & set("\u00a0\u202f\u2009\t\n")
            if phrase.kind != "date":
                assert not any(character.isdigit() for character in text), text


def test_a_unit_without_a_name_is_refused():
    with pytest.raises(DataError, match=r"no name of duration-day in it"):
        phrases.measure(5, "duration-day")


def test_the_choice_depends_on_the_seed_only():
    english = [phrase.english for phrase in phrases.choose(200, seed=1)]
    assert english == [phrase.english for phrase in phrases.choose(200, seed=1)]
    assert set(english) != {phrase.english for phrase in phrases.choose(200, seed=2)}
    assert len(set(english)) == 200


def test_names_have_every_translation_and_differ_somewhere():
    found = phrases.names()
    assert len(found) > 1000
    by_english = {phrase.english: phrase for phrase in found}
    assert by_english["Germany"].targets["it"] == "Germania"
    assert all(set(phrase.targets) == set(LANGUAGES) for phrase in found)


@pytest.mark.parametrize("size", ["small", "full"])
def test_plans_keep_phrases_and_voices_of_the_splits_apart(size):
    plan = SIZES[size]
    split = building._split(CldrOptions(size, seed=1))
    english = {name: {p.english for p in chosen} for name, chosen in split.items()}
    assert {name: len(texts) for name, texts in english.items()} == {
        "train": plan.train,
        "dev": plan.dev,
        "tst-COMMON": plan.test,
    }
    assert not english["train"] & (english["dev"] | english["tst-COMMON"])
    assert not english["dev"] & english["tst-COMMON"]
    talks = casting.english_talks(split, plan, seed=1)
    voices = {name: {t.voice for t in talks if t.split == name} for name in english}
    assert len(voices["train"]) == len(plan.voices)
    assert len(voices["train"] | voices["dev"] | voices["tst-COMMON"]) == len(plan.voices) + 2
    heard = [(p.english, t.voice) for t in talks if t.split == "train" for p in t.phrases]
    assert len(heard) == len(set(heard)) == plan.train * plan.repeats


# ----------------------------------------------------------------------------------- the speech
def test_speech_is_the_same_every_time():
    texts = ["in five weeks", "ninety-two meters", "in five weeks"]
    assert speech.speak("en-us+f2", texts) == speech.speak("en-us+f2", texts)


@pytest.mark.parametrize(
    ("voice", "reason"),
    [("nobody", "no such voice.*gave 2"), ("en-us+nobody", "no variant 'nobody'")],
)
def test_a_wrong_voice_is_an_error_and_not_another_voice(voice, reason):
    with pytest.raises(DataError, match=f"could not speak with voice '.*nobody': .*{reason}"):
        speech.speak(voice, ["hello"])


def test_every_voice_of_every_size_is_there():
    voices = {voice for size in SIZES.values() for voice in size.voices}
    voices |= {size.dev_voice for size in SIZES.values()}
    voices |= {size.test_voice for size in SIZES.values()}
    sounds = {voice: speech.speak(voice, ["nine"])[0].tobytes() for voice in voices}
    assert len(set(sounds.values())) == len(voices)  # and none is another under a new name


# ----------------------------------------------------------------------------------- the corpus
def test_two_workers_write_the_bytes_that_one_writes(tiny, tmp_path):
    build(tmp_path / "two", CldrOptions("tiny", seed=1), workers=2)
    first, second = digest(tiny), digest(tmp_path / "two")
    assert first == second
    assert len(first) == 8 * (8 + 9) + 1


def test_another_seed_says_something_else(tiny, tmp_path):
    build(tmp_path, CldrOptions("tiny", seed=2), workers=2)
    text = Path("en-de/data/train/txt/train.en")
    assert (tiny / text).read_text(encoding="utf-8") != (tmp_path / text).read_text(
        encoding="utf-8"
    )


def test_the_layout_is_that_of_mustc(tiny):
    layout = MustC(tiny)
    assert layout.languages() == list(LANGUAGES)
    english = {}
    for language in layout.languages():
        for split, count in (("train", 40), ("dev", 8), ("tst-COMMON", 8)):
            segments = layout.segments(language, split)
            assert len(segments) == count
            rows = [(s.source, s.wav, s.offset, s.duration) for s in segments]
            assert english.setdefault(split, rows) == rows  # aligned in all languages
            for segment in segments:
                audio = read_wave(layout.wav(language, split, segment.wav))
                assert (audio.sample_rate, audio.channels) == (16000, 1)
                assert segment.offset + segment.duration <= audio.seconds
                assert segment.duration > 0.4


def test_speech_lies_inside_the_segments_and_silence_between(tiny):
    layout = MustC(tiny)
    segments = layout.segments("de", "dev")
    with wave.open(str(layout.wav("de", "dev", segments[0].wav))) as file:
        import numpy as np

        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(int)
    silent = np.ones(len(samples), bool)
    for segment in segments:
        piece = slice(round(segment.offset * 16000), round(segment.end * 16000))
        assert np.abs(samples[piece]).max() > 3000
        silent[piece] = False
    assert not samples[silent].any()


def test_audio_is_stored_once(tiny):
    inodes = {path.stat().st_ino for path in tiny.rglob("*.wav")}
    assert len(inodes) == 8
    assert len(list(tiny.rglob("*.wav"))) == 64


def test_without_hard_links_the_audio_is_copied(tiny, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    build(tmp_path / "copied", CldrOptions("tiny", seed=1), workers=2)
    assert digest(tmp_path / "copied") == digest(tiny)


def test_an_interrupted_build_is_finished(tiny, tmp_path, monkeypatch):
    speak, said = speech.speak, []

    def three_talks(voice, texts):
        if len(said) == 3:
            raise KeyboardInterrupt
        said.append(voice)
        return speak(voice, texts)

    monkeypatch.setattr(speech, "speak", three_talks)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "out", CldrOptions("tiny", seed=1), workers=1)
    assert not (tmp_path / "out" / "corpus.json").exists()
    said.clear()
    monkeypatch.setattr(
        speech, "speak", lambda voice, texts: said.append(voice) or speak(voice, texts)
    )
    with pytest.raises(DataError, match="made with seed 1, wanted 2"):
        build(tmp_path / "out", CldrOptions("tiny", seed=2), workers=1)
    build(tmp_path / "out", CldrOptions("tiny", seed=1), workers=1)
    assert len(said) == 5  # of eight talks, three were there
    assert digest(tmp_path / "out") == digest(tiny)


def test_the_command_says_when_nothing_is_to_do_and_refuses_other_options(tiny, capsys, caplog):
    caplog.set_level("INFO")
    assert main(["corpus", "cldr", str(tiny), "--size", "tiny"]) == 0
    assert "already there" in caplog.text
    assert main(["corpus", "cldr", str(tiny), "--size", "small"]) == 1
    assert "made with size tiny, wanted small" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["corpus.json", ".work/options.json"])
def test_damaged_records_are_one_line(tmp_path, capsys, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('{"size": "tiny"', encoding="utf-8")
    assert main(["corpus", "cldr", str(tmp_path), "--size", "tiny"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{name}: expected what a run of this command wrote, found no JSON" in error


def test_a_record_of_something_else_is_one_line(tmp_path, capsys):
    record = {"corpus": "cldr", "size": "tiny", "seed": 1, "libraries": {}, "splits": {"dev": 7}}
    (tmp_path / "corpus.json").write_text(json.dumps(record), encoding="utf-8")
    assert main(["corpus", "cldr", str(tmp_path), "--size", "tiny"]) == 1
    assert "the record of the corpus is damaged (TypeError" in capsys.readouterr().err


def test_a_talk_whose_times_are_damaged_is_spoken_again(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(building.Making, "finish", lambda *_: None)
    build(tmp_path / "out", CldrOptions("tiny", seed=1), workers=1)
    notes = sorted((tmp_path / "out" / ".work").glob("cldr_*.json"))
    for note, content in zip(notes, ("[[1, 2", "[[1]]", "{}")):
        note.write_text(content, encoding="utf-8")
    monkeypatch.undo()
    build(tmp_path / "out", CldrOptions("tiny", seed=1), workers=1)
    assert digest(tmp_path / "out") == digest(tiny)


def test_audio_of_one_length_is_not_taken_for_the_same(tmp_path):
    audio, place = tmp_path / "spoken.wav", tmp_path / "en-de" / "talk.wav"
    place.parent.mkdir()
    place.write_bytes(b"first")  # a copy, as file systems without links have it
    audio.write_bytes(b"other")
    link_audio(audio, place)
    assert place.read_bytes() == b"other"


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    with pytest.raises(DataError, match="holds other files"):
        build(tmp_path, CldrOptions("tiny", seed=1), workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_record_says_what_was_made(tiny):
    record = json.loads((tiny / "corpus.json").read_text(encoding="utf-8"))
    assert record["splits"]["train"]["utterances"] == 40
    assert record["libraries"]["eSpeak NG"].startswith("1.")
    assert record["seed"] == 1


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "num2words", None)
    with pytest.raises(DataError, match=r"pip install \"fairseq-gist\[corpora\]\""):
        build(tmp_path / "out", CldrOptions("tiny", seed=1), workers=1)
