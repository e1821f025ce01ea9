"""Many spoken languages, all translated into English: the corpus and its preparation."""

import csv
import hashlib
import json

import pytest

pytest.importorskip("babel")
pytest.importorskip("num2words")
pytest.importorskip("espeakng_loader")

from fairseq_gist.cli.main import main
from fairseq_gist.corpora.cldr import build as building
from fairseq_gist.corpora.cldr import casting, speech, voices
from fairseq_gist.corpora.cldr.build import build
from fairseq_gist.corpora.cldr.languages import ALL
from fairseq_gist.corpora.cldr.languages import LANGUAGES as EIGHT
from fairseq_gist.corpora.cldr.options import SIZES, CldrOptions
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.preparing.alignment import Row
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC
from fairseq_gist.preparing.parallel import align_by_translation

LANGUAGES = ("de", "es", "ru")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "into-english"
    command = ["corpus", "cldr", str(out), "--size=tiny", "--direction=many-to-one"]
    assert main([*command, "--languages=de,es,ru", "--sizes=ru=12", "--workers=2"]) == 0
    return out


@pytest.fixture(scope="module")
def prepared(tiny):
    command = ["prepare", str(tiny), "--target=en", "--vocab-size=100", "--workers=1"]
    assert main([*command, "--asr", "--asr-vocab-size=150"]) == 0
    return tiny / "fairseq"


def rows(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


# ----------------------------------------------------------------------------------- the corpus
def test_the_layout_is_that_of_mustc_the_other_way_round(tiny):
    layout = MustC(tiny, target="en")
    assert layout.languages() == list(LANGUAGES)
    english = {}
    for language in LANGUAGES:
        assert layout.text(language, "dev", "en").parent == tiny / f"{language}-en/data/dev/txt"
        for split, count in (("train", 40), ("dev", 8), ("tst-COMMON", 8)):
            segments = layout.segments(language, split)
            assert len(segments) == (12 if (language, split) == ("ru", "train") else count)
            for segment in segments:
                assert layout.wav(language, split, segment.wav).is_file()
            english.setdefault(split, {})[language] = [segment.target for segment in segments]
    for split in ("dev", "tst-COMMON"):  # the same phrases in all languages, in the same order
        assert len({tuple(texts) for texts in english[split].values()}) == 1
    assert set(english["train"]["ru"]) < set(english["train"]["de"]) == set(english["train"]["es"])
    russian = layout.segments("ru", "dev")[0].source
    assert set("абвгдежзиклмнопрстуя") & set(russian)


def test_speech_and_speakers_are_each_languages_own(tiny):
    layout = MustC(tiny, target="en")
    audio, speakers = set(), {}
    for language in LANGUAGES:
        for split in ("train", "dev", "tst-COMMON"):
            for segment in layout.segments(language, split):
                data = layout.wav(language, split, segment.wav).read_bytes()
                audio.add((language, split, hashlib.sha256(data).hexdigest()))
                speakers.setdefault(segment.speaker, set()).add((language, split))
    assert len({digest for _, _, digest in audio}) == len(audio)
    assert all(len(where) == 1 for where in speakers.values())  # nobody is in two splits


def test_another_number_of_workers_writes_the_same_bytes(tiny, tmp_path):
    build(tmp_path, CldrOptions("tiny", "many-to-one", ("ru", "de", "es"), {"ru": 12}), workers=1)
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tiny / path.relative_to(tmp_path)).read_bytes(), path


def test_the_record_says_how_much_of_each_language(tiny):
    record = json.loads((tiny / "corpus.json").read_text(encoding="utf-8"))
    assert record["sources"] == list(LANGUAGES)
    assert record["target"] == "en"
    assert record["splits"]["train"]["utterances_in"] == {"de": 40, "es": 40, "ru": 12}
    assert record["splits"]["dev"]["utterances_in"] == {"de": 8, "es": 8, "ru": 8}


@pytest.mark.parametrize("size", ["small", "full"])
def test_what_is_heard_in_dev_and_test_is_heard_in_no_training(size):
    plan = SIZES[size]
    phrases = building._split(CldrOptions(size, seed=1))
    for language in EIGHT:
        talks = casting.talks_in(language, phrases, plan, 1, plan.train)
        heard, speaking = {}, {}
        for talk in talks:
            heard.setdefault(talk.split, set()).update(p.text(language) for p in talk.phrases)
            speaking.setdefault(talk.split, set()).add(talk.voice)
        assert not heard["train"] & (heard["dev"] | heard["tst-COMMON"])
        assert not speaking["train"] & (speaking["dev"] | speaking["tst-COMMON"])
        assert len(speaking["train"]) == len(plan.voices)
        assert len(heard["train"]) > 0.99 * plan.train


@pytest.mark.slow
@pytest.mark.parametrize("language", ALL)
def test_every_voice_is_there_and_is_one_of_its_own(language):
    variants = (*voices.TRAIN, voices.DEV, voices.TEST)
    names = [voices.voice_of(language, variant) for variant in variants]
    sounds = {name: speech.speak(name, ["9"])[0].tobytes() for name in names}
    assert len(set(sounds.values())) == len(names) == 14


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("one-to-many", ["de"], {"ru": 3}), "'ru' is none of --languages de"),
        (("one-to-many", [], {"cs": 3}), "'cs' is none of --languages de, es"),
        (("one-to-many", ["xx"], {}), "'xx' is none of the corpus's ca, cs, da, de, es"),
        (("many-to-one", ["xx"], {}), "'xx' is none of the corpus's ca, cs, da, de, es"),
        (("many-to-one", ["de"], {"ru": 3}), "'ru' is none of --languages de"),
        (("many-to-one", [], {"ru": 41}), "expected 1 to 40 phrases.*found ru=41"),
        (("many-to-one", [], {"ru": 0}), "expected 1 to 40 phrases.*found ru=0"),
    ],
)
def test_what_can_not_be_is_refused(tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        build(tmp_path / "out", CldrOptions("tiny", *options), workers=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sizes", ["ru", "ru=many", "ru=3,ru=4", "ru=²"])
def test_sizes_that_are_none_are_refused(tmp_path, sizes, capsys):
    command = ["corpus", "cldr", str(tmp_path / "out"), "--direction=many-to-one"]
    with pytest.raises(SystemExit, match="2"):
        main([*command, f"--sizes={sizes}"])
    assert "expected names with their numbers, each once" in capsys.readouterr().err


def test_another_direction_in_the_same_folder_is_refused(tiny):
    with pytest.raises(DataError, match="made with sizes {'ru': 12}, wanted {}"):
        build(tiny, CldrOptions("tiny", "many-to-one", LANGUAGES), workers=1)
    with pytest.raises(DataError, match="made with direction many-to-one, wanted one-to-many"):
        build(tiny, CldrOptions("tiny"), workers=1)


# ----------------------------------------------------------------------------- the preparation
def test_rows_say_what_is_spoken(prepared):
    train = rows(prepared / "train.tsv")
    assert [(row["src_lang"], row["tgt_lang"]) for row in train] == [
        *[("de", "en")] * 40,
        *[("es", "en")] * 40,
        *[("ru", "en")] * 12,
    ]
    assert rows(prepared / "train_ru.tsv") == train[80:]
    assert len({row["audio"] for row in train}) == len({row["id"] for row in train}) == 92
    assert all(row["src_text"] != row["tgt_text"] for row in train)


def test_the_vocabulary_is_that_of_english_without_tags(prepared):
    symbols = (prepared / "spm_unigram100_st.txt").read_text(encoding="utf-8")
    assert "<lang:" not in symbols
    assert not set("äñабв") & set(symbols)
    assert "prepend_tgt_lang_tag: false" in (prepared / "config_st.yaml").read_text(
        encoding="utf-8"
    )


def test_a_tag_of_the_target_where_it_is_asked_for(tiny, tmp_path):
    command = ["prepare", str(tiny), "--target=en", "--vocab-size=100", "--workers=1"]
    assert main([*command, "--target-tag", "--out", str(tmp_path)]) == 0
    symbols = (tmp_path / "spm_unigram100_st.txt").read_text(encoding="utf-8")
    assert symbols.count("<lang:") == 1
    assert "<lang:en> 1" in symbols
    assert "prepend_tgt_lang_tag: true" in (tmp_path / "config_st.yaml").read_text(encoding="utf-8")


def test_multiway_rows_are_a_phrase_in_all_languages_each_with_its_own_audio(prepared):
    found, dev = rows(prepared / "multiway.tsv"), rows(prepared / "dev.tsv")
    assert len(found) == 24
    assert sorted(row["id"] for row in found) == sorted(row["id"] for row in dev)
    for start in range(0, 24, 3):
        utterance = found[start : start + 3]
        assert [row["src_lang"] for row in utterance] == list(LANGUAGES)
        assert len({row["tgt_text"] for row in utterance}) == 1
        assert len({row["audio"] for row in utterance}) == 3
    assert {tuple(sorted(row.items())) for row in found} == {tuple(sorted(r.items())) for r in dev}


def test_recognition_is_of_every_language(prepared):
    found = rows(prepared / "train_asr.tsv")
    assert [row["tgt_lang"] for row in found] == ["de"] * 40 + ["es"] * 40 + ["ru"] * 12
    assert all(row["tgt_text"] == row["src_text"] and row["src_lang"] == row["tgt_lang"]
               for row in found)  # fmt: skip
    symbols = (prepared / "spm_unigram150_asr.txt").read_text(encoding="utf-8")
    assert set("бдилмня") & set(symbols)


def test_the_other_direction_is_told_of(tiny, tmp_path, capsys):
    assert main(["prepare", str(tiny), "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    there = "expected en-XX/data, found none; there are de-en, es-en, ru-en"
    assert f"{there}: give --target en or --source de" in error
    assert main(["prepare", str(tiny), "--target-tag", "--out", str(tmp_path)]) == 1
    assert "--target-tag: only with --target" in capsys.readouterr().err


# ------------------------------------------------------------------------------- the alignment
def spoken(language, *texts, dropped=()):
    return [
        Row(
            Segment(f"{language}.wav", 3.0 * place, 2.0, "spk", language, text, place + 1),
            "dropped_too_long" if place in dropped else None,
        )
        for place, text in enumerate(texts)
    ]


def test_what_is_translated_alike_is_one_utterance():
    result = align_by_translation(
        {
            "de": spoken("de", "Yes.", "Nine birds", "no", "yes"),
            "es": spoken("es", "nine birds!", "yes", "Yes", "maybe"),
        }
    )
    pairs = [[row.segment.line for row in utterance] for utterance in result.rows]
    assert pairs == [[1, 2], [2, 1], [4, 3]]
    assert result.counts()["unmatched"] == {"es": {"no_segment": 1}}


def test_reasons_for_what_has_no_counterpart():
    result = align_by_translation(
        {
            "de": spoken("de", "a b", "a b", "c", "d", dropped=[3]),
            "es": spoken("es", "c", "a b", "d", dropped=[0]),
        }
    )
    assert [[r.segment.line for r in utterance] for utterance in result.rows] == [[1, 2]]
    assert result.counts()["unmatched"] == {
        "de": {"dropped_too_long": 1},
        "es": {"repeated": 1, "dropped_too_long": 1},
    }
