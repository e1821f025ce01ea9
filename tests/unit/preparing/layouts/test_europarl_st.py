"""Europarl-ST, whose speeches are cut anew for every language, and are m4a."""

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.europarl_st import EuroparlST
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write

SPEECHES = {
    "train": ("en.20080924.31.3-243", "en.20080924.4.3-018"),
    "dev": ("en.20090112.1.2-9",),
    "test": ("en.2009.1",),
}


def write_split(folder, split, target):
    lines, number = [], 0
    for speech in SPEECHES[split]:
        for start in range(3):
            number += 1
            lines.append(f"{speech} {float(start)} {start + 1.2:.2f}")  # they overlap
    write(folder / "segments.lst", "\n".join(lines) + "\n")
    for language in ("en", target):
        text = [sentence(language, one) for one in range(number)]
        write(folder / f"segments.{language}", "\n".join(text) + "\n")
    write(folder / "speeches.lst", "\n".join(SPEECHES[split]) + "\n")
    write(
        folder / "speakers.lst", "".join(f"EN_MEP_{one}\n" for one, _ in enumerate(SPEECHES[split]))
    )


@pytest.fixture
def root(tmp_path):
    for target in ("de", "es"):
        for split in SPEECHES:
            write_split(tmp_path / "v1.1" / "en" / target / split, split, target)
    for number, speech in enumerate(sum(SPEECHES.values(), ())):
        noise(tmp_path / "v1.1" / "en" / "audios" / f"{speech}.flac", 3.5, seed=number)
    return tmp_path


OPTIONS = Options(layout="europarl-st", vocab_size=45)


def test_overlapping_segments_are_prepared(root):
    rows = prepared(root, OPTIONS, "train")
    assert len(rows) == 12
    row = rows["en.20080924.31.3-243_1_es"]
    assert (row["n_frames"], row["speaker"]) == ("118", "EN_MEP_0")
    assert (row["src_text"], row["tgt_text"]) == (sentence("en", 1), sentence("es", 1))
    assert rows["en.20080924.31.3-243_1_de"]["audio"] == row["audio"]  # one audio for both
    assert len(prepared(root, OPTIONS, "multiway")) == 6


def test_speeches_as_they_are_published_are_refused_with_what_to_do(root):
    for path in (root / "v1.1" / "en" / "audios").iterdir():
        path.rename(path.with_suffix(".m4a"))
    problems = check(root, OPTIONS, workers=1)
    assert len(problems) == 1  # not one of every segment
    assert "audios: its speeches are .m4a, which isn't read here; convert them: for" in problems[0]
    assert '-ar 16000 "${f%.m4a}.flac"; done' in problems[0]


def test_faulty_lines_are_named(root):
    folder = root / "v1.1" / "en" / "de" / "train"
    lines = (folder / "segments.lst").read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1].replace("1.0 2.20", "2.2 1.0")
    lines[2] = lines[2].replace(" 3.20", "")
    lines[3] = lines[3].replace("0.0 1.20", "0.0 99.0")
    write(folder / "segments.lst", "\r\n".join([*lines, "", ""]))
    found = check(root, OPTIONS, workers=1)
    where = folder / "segments.lst"
    assert f"{where}, line 2: ends at 1.00 s, before it begins, at 2.20 s" in found
    assert f"{where}, line 3: expected speech, start and end, found 2 words" in found
    assert any(f"{where}, line 4: ends at 99.00 s, but" in one for one in found)
    assert len(found) == 3


def test_empty_lines_are_segments_without_text(root):
    text = root / "v1.1" / "en" / "de" / "train" / "segments.de"
    lines = text.read_text("utf-8").splitlines()
    lines[0] = lines[-1] = ""
    write(text, "\ufeff" + "\n".join(lines) + "\n")
    assert len(prepared(root, OPTIONS, "train_de")) == 4


def test_texts_of_another_length_and_unknown_speakers(root):
    folder = root / "v1.1" / "en" / "de" / "train"
    write(folder / "segments.de", "one\n")
    layout = EuroparlST(root)
    with pytest.raises(DataError, match=r"segments\.de: 1 lines, but segments\.lst lists 6"):
        layout.segments("de", "train")
    write(folder / "speakers.lst", "one\n")
    write_text = "\n".join(sentence("de", one) for one in range(6)) + "\n"
    write(folder / "segments.de", write_text)
    with pytest.raises(DataError, match=r"speakers\.lst: 1 lines, but speeches\.lst has 2"):
        layout.segments("de", "train")
    (folder / "speakers.lst").unlink()
    assert {one.speaker for one in layout.segments("de", "train")} == {""}
