"""CoVoST 2 beside Common Voice, as fairseq and the release's own script have them."""

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

import soundfile

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError
from fairseq_gist.files import read_object
from fairseq_gist.preparing.layouts.covost import CoVoST
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write

pytestmark = pytest.mark.skipif(
    "MP3" not in soundfile.available_formats(), reason="this libsndfile has no MP3"
)
HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent"
ROWS = {"train": 3, "train_covost": 2, "dev": 2, "test": 2}


def clip(language, number):
    return f"common_voice_{language}_{number}.mp3"


def write_language(folder, source, target, spoken):
    """Common Voice 4 of one language, with a table of CoVoST beside it."""
    said, table, number = [HEADER], ["path\ttranslation\tsplit"], 0
    for split, count in ROWS.items():
        for _ in range(count):
            number += 1
            name = clip(source, number)
            noise(folder / "clips" / name, 0.3, seed=number, rate=32000)
            said.append(f"speaker{number}\t{name}\t{sentence(spoken, number)}\t2\t0\t\t\t")
            table.append(f"{name}\t{sentence('en', number)}\t{split}")
    write(folder / "validated.tsv", "\n".join(said) + "\n")
    write(folder / f"covost_v2.{source}_{target}.tsv", "\n".join(table) + "\n")


@pytest.fixture
def root(tmp_path):
    write_language(tmp_path / "de", "de", "en", "de")
    write_language(tmp_path / "zh-CN" / "raw", "zh-CN", "en", "zh")
    return tmp_path


def test_clips_are_prepared_with_the_sentences_of_common_voice(root):
    options = Options(layout="covost", target="en", vocab_size=25)
    rows = prepared(root, options, "train")
    assert len(rows) == 10  # what CoVoST adds to training is part of it
    row = rows["common_voice_zh-CN_1_0_zh-CN"]
    assert (row["src_lang"], row["tgt_lang"]) == ("zh-CN", "en")
    assert row["src_text"] == sentence("zh", 1)
    assert row["tgt_text"] == sentence("en", 1)
    assert row["speaker"] == "speaker1"
    assert 28 <= int(row["n_frames"]) <= 40  # 0.3 s, and what MP3 adds at the ends
    assert len(prepared(root, options, "dev")) == 4
    assert len(prepared(root, options, "test")) == 4


def test_codes_are_found_in_any_case(root):
    options = Options(layout="covost", target="EN", languages=("zh_cn",), vocab_size=25)
    assert len(prepared(root, options, "dev")) == 2


def test_one_language_as_common_voice_is_unpacked(tmp_path):
    write_language(tmp_path, "de", "en", "de")
    layout = CoVoST(tmp_path, target="en")
    assert layout.languages() == ["de"]
    assert len(layout.segments("de", "train")) == 5


def test_the_tables_that_the_script_of_the_release_makes(root):
    lines = ["path\tsentence\ttranslation\tclient_id"]
    lines += [f'{clip("de", 1)}\tEr sagte: \\"ja\\"\tHe said: \\"yes\\"\tme']
    write(root / "de" / "covost_v2.de_en.test.tsv", "\n".join(lines) + "\n")
    (root / "de" / "validated.tsv").unlink()
    (segment,) = CoVoST(root, target="en").segments("de", "test")
    assert (segment.source, segment.target) == ('Er sagte: "ja"', 'He said: "yes"')
    assert segment.speaker == "me"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('"Ja", sagte er', '"Ja", sagte er'),  # as most are
        ('"Ja, gut"', '"Ja, gut"'),
        ('"""Ja"", sagte er"', '"Ja", sagte er'),  # as programs quote tables
        ('Er sagte "Ja', 'Er sagte "Ja'),  # one without its partner
        (r"AC\DC", r"AC\DC"),
        ("", ""),
    ],
)
def test_quotes_of_sentences(root, cell, text):
    path = root / "de" / "validated.tsv"
    lines = path.read_text("utf-8").splitlines()
    cells = lines[1].split("\t")
    lines[1] = "\t".join([*cells[:2], cell, *cells[3:]])
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    first, second, *_ = CoVoST(root, target="en").segments("de", "train")
    assert first.source == text
    assert second.source == sentence("de", 2)


def test_what_is_missing_empty_or_no_sound_is_told_by_its_line(root):
    clips = root / "de" / "clips"
    (clips / clip("de", 1)).unlink()
    (clips / clip("de", 2)).write_bytes(b"")
    table = root / "de" / "covost_v2.de_en.tsv"
    text = table.read_text("utf-8").replace(f"{clip('de', 3)}\t{sentence('en', 3)}", clip("de", 3))
    table.write_text(text, encoding="utf-8")
    options = Options(layout="covost", target="en", languages=("de",))
    problems = check(root, options, workers=1)
    assert len(problems) == 3
    assert f"{table}, line 2: there is no {clips / clip('de', 1)}" in problems
    assert f"{clips / clip('de', 2)}: the file is empty" in problems
    assert any(f"{table}, line 4: expected 3 cells, as line 1 has, found 2" in p for p in problems)
    command = ["prepare", str(root), "--layout", "covost", "--target", "en", "--languages", "de"]
    assert main([*command, "--skip-bad", "--vocab-size", "25", "--workers", "1"]) == 0
    counts = read_object(root / "fairseq" / "prepare.json", "a record")["counts"]["train"]
    assert (counts["rows"], counts["dropped_as_faulty"]) == (2, 3)
    assert len((root / "fairseq" / "faulty.txt").read_text("utf-8").splitlines()) == 3


def test_removed_translations_have_no_row(root):
    table = root / "de" / "covost_v2.de_en.tsv"
    text = table.read_text("utf-8").replace(sentence("en", 1), "REMOVE")
    table.write_text(text.replace(sentence("en", 2), ""), encoding="utf-8")
    options = Options(layout="covost", target="en", languages=("de",), vocab_size=25)
    assert len(prepared(root, options, "train")) == 3


def test_what_is_not_there_is_said(root, tmp_path):
    with pytest.raises(DataError, match=r"nothing is translated out of en; there are de-en, zh-CN"):
        CoVoST(root).languages()
    (root / "de" / "validated.tsv").unlink()
    with pytest.raises(DataError, match=r"validated\.tsv: no such file, which has the sentences"):
        CoVoST(root, target="en").segments("de", "train")
    write(root / "de" / "covost_v2.de_en.tsv", "file\ttext\n")
    with pytest.raises(DataError, match=r"covost_v2\.de_en\.tsv, line 1: expected the columns"):
        CoVoST(root, target="en").segments("de", "train")
    with pytest.raises(DataError, match="no such folder"):
        CoVoST(tmp_path / "nowhere").languages()
