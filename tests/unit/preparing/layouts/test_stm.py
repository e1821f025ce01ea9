"""STM files: NIST's, TED-LIUM's and those of IWSLT's Tunisian data."""

import numpy as np
import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

import soundfile

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.stm import STM
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write


def write_tunisian(root):
    """As the scripts of IWSLT 2022 write them: tabs, a label that is the language, SPHERE."""
    for split, talks in (("train", 2), ("dev", 1), ("test1", 1)):
        marks = []
        for talk in range(talks):
            name = f"20160{talk}_{split}"
            noise(root / "data" / "audio" / "ta" / f"{name}.sph", 4.0, seed=talk, rate=8000)
            marks += [(name, place, place + 0.9) for place in range(4)]
        for kind, label, language in (("asr-aeb", "aeb", "es"), ("st-aeb2eng", "eng", "en")):
            for variant in ("norm", "raw"):
                lines = [
                    f"{name}\t1\tspk{place}\t{float(place)}\t{end}\t<{label}>\t"
                    f"{sentence(language, place)}{'?' if variant == 'raw' else ''}"
                    for name, place, end in marks
                ]
                write(root / "stm" / f"{kind}.{variant}.{split}.stm", "\n".join(lines) + "\n")


def test_the_tunisian_data_are_prepared_with_their_transcripts(tmp_path):
    write_tunisian(tmp_path)
    options = Options(layout="stm", source="aeb", vocab_size=25)
    rows = prepared(tmp_path, options, "train")
    assert len(rows) == 8
    row = rows["201600_train_1_eng"]
    assert (row["src_text"], row["tgt_text"]) == (sentence("es", 1), sentence("en", 1))  # of norm
    assert (row["speaker"], row["src_lang"], row["n_frames"]) == ("spk1", "aeb", "88")
    assert len(prepared(tmp_path, options, "test1")) == 4


NIST = """\
;; CATEGORY "0" "" ""
;; LABEL "O" "Overall" "Overall"\r
talk 1 talk 0.00 0.50 <o,,unknown> ignore_time_segment_in_scoring
talk 1 inter_segment_gap 0.50 0.40 <o,,unknown> inter_segment_gap
talk 1 Al_Gore 0.50 1.50 <o,f0,male> hello {world} (2)
talk A
talk 1 Al_Gore 2.00 1.50 <o,f0,male> backwards
talk 1 Al_Gore soon 1.50 <o,f0,male> when
talk 1 Al_Gore 1.50 2.50
talk 1 Al_Gore 1.50 2.50 <F0_F>   spaces   inside

talk 1 Al_Gore 2.50 3.00 no label <here>
"""


@pytest.fixture
def root(tmp_path):
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.de.stm", "\ufeff" + NIST)
    noise(tmp_path / "sph" / "talk.wav", 4.0, channels=2)
    return tmp_path


def test_comments_labels_and_what_scoring_ignores_are_left_out(root):
    segments, wrong = STM(root).checked("de", "train")
    assert [(one.line, one.target) for one in segments] == [
        (5, "hello {world} (2)"),
        (9, ""),
        (10, "spaces   inside"),
        (12, "no label <here>"),
    ]
    where = f"{root / 'train.de.stm'}, line"
    assert wrong == {
        6: f"{where} 6: expected file, channel, speaker, start, end and text, found 2 of them",
        7: f"{where} 7: ends at 1.50 s, before it begins, at 2.00 s",
        8: f"{where} 8: start should be seconds, found 'soon'",
    }


def test_transcripts_are_those_of_the_same_time(root):
    write(root / "train.en.stm", "talk 1 x 0.500 1.500 <en> said\ntalk 1 x 1.5 2.4 <en> other\n")
    segments, _ = STM(root).checked("de", "train")
    assert [one.source for one in segments] == ["said", "", "", ""]


def test_channels_that_are_marked_each_by_itself_are_heard_so(tmp_path):
    samples = noise(tmp_path / "call.wav", 3.0, channels=2)
    samples[:, 1] = 0.0
    soundfile.write(tmp_path / "call.wav", samples, 16000)
    lines = [
        f"call {channel} {channel} {place}.0 {place}.9 <o> {sentence('de', place)}"
        for place in range(3)
        for channel in "AB"
    ]
    write(tmp_path / "train.de.stm", "\n".join(lines) + "\n")
    options = Options(layout="stm", vocab_size=30)
    rows = prepared(tmp_path, options, "train")
    assert sorted(rows) == [f"call.{one}_{place}_de" for one in "12" for place in range(3)]
    archive = (tmp_path / "fairseq" / "fbank80.zip").read_bytes()

    def levels(row):
        _, offset, length = row["audio"].split(":")
        return np.frombuffer(archive[int(offset) : int(offset) + int(length)][128:], np.float32)

    assert levels(rows["call.1_0_de"]).mean() > 5
    assert levels(rows["call.2_0_de"]).mean() < -10  # silent, where the other one speaks
    write(tmp_path / "train.de.stm", "call A a 0 1 one\ncall C c 1 2 two\n")
    (problem,) = check(tmp_path, options, workers=1)
    assert "call.wav: expected channel 3, found 2 channels" in problem


def test_audio_that_is_missing_or_there_twice_is_named(root):
    noise(root / "other" / "talk.flac", 4.0)
    _, wrong = STM(root).checked("de", "train")
    assert f"line 5: both {root / 'other' / 'talk.flac'} and" in wrong[5]
    (root / "other" / "talk.flac").unlink()
    (root / "sph" / "talk.wav").unlink()
    _, wrong = STM(root).checked("de", "train")
    assert f"line 5: no audio called talk below {root}" in wrong[5]


def test_files_whose_names_say_no_language_are_none(tmp_path):
    write(tmp_path / "train" / "talk.stm", NIST)
    with pytest.raises(DataError, match=r"not in the layout stm: expected ROOT/SPLIT\.YY\.stm"):
        STM(tmp_path).languages()
    write(tmp_path / "dev.de.stm", NIST)
    with pytest.raises(DataError, match="expected a split called train, found dev"):
        STM(tmp_path).splits()
