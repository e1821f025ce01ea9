"""Manifests of lhotse, written by it as its recipes write them."""

import sys

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")
pytest.importorskip("lhotse")

import lhotse

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.lhotse import Lhotse
from fairseq_gist.preparing.options import Options
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write

KINDS = {
    "tgt_text": lambda one: {"tgt_lang": "de", "tgt_text": sentence("de", one)},
    "translated_text": lambda one: {
        "translated_text": {"De": sentence("de", one), "zh_cn": sentence("zh", one)}
    },
    "text": lambda one: None,
}


def manifests(root, split, kind, channels=1):
    """Recordings and supervisions of one talk."""
    path = root / "audio" / f"{split}.wav"
    noise(path, 4.0, channels=channels)
    recording = lhotse.Recording.from_file(path)
    translated = kind == "text"  # as the recipe of MuST-C: no transcript
    supervisions = [
        lhotse.SupervisionSegment(
            id=f"{split}-{place}",
            recording_id=recording.id,
            start=float(place),
            duration=0.9,
            channel=place % channels,
            text=sentence("de" if translated else "en", place),
            language="de" if translated else ["en", "es"] if place else "En",
            speaker="spk",
            custom=KINDS[kind](place),
        )
        for place in range(4)
    ]
    return (
        lhotse.RecordingSet.from_recordings([recording]),
        lhotse.SupervisionSet.from_segments(supervisions),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_recordings_and_supervisions_are_prepared(tmp_path, kind):
    for split in ("train", "dev"):
        recordings, supervisions = manifests(tmp_path, split, kind)
        recordings.to_file(tmp_path / f"must_c_recordings_en-de_{split}.jsonl.gz")
        supervisions.to_file(tmp_path / f"must_c_supervisions_en-de_{split}.jsonl.gz")
    rows = prepared(
        tmp_path,
        Options(layout="lhotse", vocab_size=44 if kind == "translated_text" else 30),
        "train",
    )
    row = rows["train_1_de"]
    assert row["tgt_text"] == sentence("de", 1)
    assert row["src_text"] == ("" if kind == "text" else sentence("en", 1))
    assert (row["n_frames"], row["src_lang"], row["speaker"]) == ("88", "en", "spk")
    assert ("train_1_zh-CN" in rows) == (kind == "translated_text")


def test_cuts_are_read_where_they_begin(tmp_path):
    recordings, supervisions = manifests(tmp_path, "train", "tgt_text", channels=2)
    cuts = lhotse.CutSet.from_manifests(recordings, supervisions).trim_to_supervisions()
    cuts.to_file(tmp_path / "cuts_train.jsonl.gz")
    layout = Lhotse(tmp_path)
    segments = layout.segments("de", "train")
    assert [(one.offset, one.duration) for one in segments] == [
        (float(place), 0.9) for place in range(4)
    ]
    assert [layout.channel(one.wav) for one in segments] == [0, 1, 0, 1]
    assert len(prepared(tmp_path, Options(layout="lhotse", vocab_size=30), "train")) == 4


def test_cuts_that_are_none_of_a_recording_are_faulty_by_themselves(tmp_path):
    recordings, supervisions = manifests(tmp_path, "train", "tgt_text")
    whole = lhotse.CutSet.from_manifests(recordings, supervisions)
    first, second, *others = whole.trim_to_supervisions()
    (several,) = whole
    several.supervisions[1].custom = None
    mixed = second.pad(duration=3.0)
    cuts = lhotse.CutSet.from_cuts([first, mixed, *others, several.with_id("several")])
    cuts.to_file(tmp_path / "cuts_train.jsonl.gz")
    segments, wrong = Lhotse(tmp_path).checked("de", "train")
    assert len(segments) == 3 + 3
    path = tmp_path / "cuts_train.jsonl.gz"
    assert sorted(wrong.values()) == [
        f"{path}, line 2: cut {mixed.id} is a MixedCut without a recording; expected cuts out of "
        "recordings",
        f"{path}, line 5, supervision train-1: no translation: expected custom tgt_text and "
        "tgt_lang, or translated_text, or text in another language than en",
    ]


def test_recordings_and_supervisions_under_each_others_names(tmp_path):
    """As a recipe of lhotse writes the Tunisian data."""
    recordings, supervisions = manifests(tmp_path, "train", "tgt_text")
    recordings.to_file(tmp_path / "iwslt22-ta_supervisions_train.jsonl.gz")
    supervisions.to_file(tmp_path / "iwslt22-ta_recordings_train.jsonl.gz")
    assert len(Lhotse(tmp_path).segments("de", "train")) == 4


def test_what_has_no_translation_or_is_no_manifest_is_named(tmp_path):
    recordings, supervisions = manifests(tmp_path, "train", "tgt_text")
    broken = list(supervisions)
    broken[0].custom = None
    broken[1].recording_id = "nowhere"
    recordings.to_file(tmp_path / "recordings_train.jsonl")
    lhotse.SupervisionSet.from_segments(broken).to_file(tmp_path / "supervisions_train.jsonl")
    segments, wrong = Lhotse(tmp_path).checked("de", "train")
    assert len(segments) == 2
    where = f"{tmp_path / 'supervisions_train.jsonl'}, line"
    assert wrong[1].startswith(f"{where} 1: no translation: expected custom tgt_text and tgt_lang")
    assert wrong[2] == f"{where} 2: no recording nowhere to cut it out of"
    write(tmp_path / "supervisions_train.jsonl", "{no json\n")
    with pytest.raises(DataError, match=r"supervisions_train\.jsonl: lhotse can't read it: "):
        Lhotse(tmp_path).languages()


def test_lhotse_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    write(tmp_path / "cuts_train.jsonl", "{}\n")
    monkeypatch.setitem(sys.modules, "lhotse", None)
    with pytest.raises(DataError, match=r'pip install "fairseq-gist\[lhotse\]" brings it'):
        Lhotse(tmp_path).languages()
