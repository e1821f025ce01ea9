"""Plain tables, their columns in any order and languages in any case."""

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.tsv import TSV
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write

CODES = {"de": ("De", "de", "DE"), "zh": ("zh_cn", "zh-CN", "ZH-cn")}


def write_tables(root):
    for split, count in (("train", 3), ("dev", 2), ("test", 2)):
        lines = ["lang\ttext\taudio"]
        for number in range(count):
            noise(root / "wav" / f"{split}{number}.mp3", 1.0, seed=number)
            for language, codes in CODES.items():
                text = sentence(language, number)
                lines.append(f"{codes[number]}\t{text}\t{split}{number}.mp3")
        write(root / f"{split}.tsv", "\ufeff" + "\r\n".join(lines) + "\r\n")


@pytest.fixture
def root(tmp_path):
    write_tables(tmp_path)
    return tmp_path


def test_three_columns_in_any_order_are_enough(root):
    rows = prepared(root, Options(layout="tsv", vocab_size=44), "train")
    assert {(row["src_lang"], row["tgt_lang"]) for row in rows.values()} == {
        ("en", "de"),
        ("en", "zh-CN"),
    }
    assert rows["train2_0_zh-CN"]["tgt_text"] == sentence("zh", 2)
    assert rows["train2_0_zh-CN"]["audio"] == rows["train2_0_de"]["audio"]
    assert len(prepared(root, Options(layout="tsv", vocab_size=44), "multiway")) == 4


def test_one_table_with_splits_times_and_many_spoken_languages(tmp_path):
    noise(tmp_path / "talks" / "long one.flac", 9.0)
    header = "Split\tPATH\tstart\tend\tsentence\ttranslation\tsrc_lang\ttgt_lang\tclient_id\tid"
    lines = [header]
    for split in ("train", "validation"):
        for place in range(4):
            for source in ("DE", "fr"):
                texts = f"{sentence(source.lower(), place)}\t{sentence('en', place)}"
                times = f"{place}\t{place + 0.9}"
                lines.append(f"{split}\ttalks/long one.flac\t{times}\t{texts}\t{source}\tEn\tme\t7")
    write(tmp_path / "all.tsv", "\n".join(lines) + "\n")
    layout = TSV(tmp_path, target="EN")
    assert (layout.languages(), layout.splits()) == (["de", "fr"], ("train", "validation"))
    rows = prepared(tmp_path, Options(layout="tsv", target="en", vocab_size=25), "train")
    row = rows["long one_2_de"]
    assert (row["src_text"], row["tgt_text"]) == (sentence("de", 2), sentence("en", 2))
    assert (row["n_frames"], row["speaker"]) == ("88", "me")
    assert [one.offset for one in layout.segments("fr", "validation")] == [0.0, 1.0, 2.0, 3.0]


def test_columns_may_be_called_by_their_languages(tmp_path):
    """As in the Estonian data of IWSLT; a column ``id`` isn't Indonesian."""
    lines = ["id\taudio\tSpanish\tEnglish\tde"]
    for place in range(4):
        noise(tmp_path / "audio" / "talk" / f"{place}.flac", 1.0, seed=place)
        texts = [sentence(language, place) for language in ("es", "en", "de")]
        texts[2] = "" if place == 3 else texts[2]
        lines.append("\t".join([str(place), f"talk/{place}.flac", *texts]))
    for split in ("train", "dev"):
        write(tmp_path / f"{split}.tsv", "\n".join(lines) + "\n")
    rows = prepared(tmp_path, Options(layout="tsv", source="es", vocab_size=45), "train")
    assert len(rows) == 7
    row = rows["1_0_de"]
    assert (row["src_text"], row["tgt_text"]) == (sentence("es", 1), sentence("de", 1))
    assert (row["src_lang"], rows["3_0_en"]["tgt_text"]) == ("es", sentence("en", 3))
    with pytest.raises(DataError, match="and with --target src_lang"):
        TSV(tmp_path, target="en").languages()  # Spanish or German?
    for split in ("train", "dev"):
        cells = [line.split("\t") for line in lines]
        two = ["\t".join(one[1:4]) for one in cells]
        write(tmp_path / f"{split}.tsv", "\n".join(two) + "\n")
    layout = TSV(tmp_path, target="en")
    assert layout.languages() == ["es"]
    assert layout.segments("es", "train")[2].target == sentence("en", 2)


def test_languages_may_be_told_by_their_names(tmp_path):
    noise(tmp_path / "a.wav", 1.0)
    write(tmp_path / "train.tsv", "audio\ttext\tlang\na.wav\tja\tGerman\na.wav\tsim\tpt_br\n")
    layout = TSV(tmp_path)
    assert layout.languages() == ["de", "pt-BR"]
    assert [one.target for one in layout.segments("de", "train")] == ["ja"]


def test_tables_that_programs_quote(tmp_path):
    noise(tmp_path / "a.wav", 1.0)
    cells = ["a.wav", 'he said ""no""', "de"]
    quoted = "\t".join(f'"{cell}"' for cell in cells)
    write(tmp_path / "train.tsv", f'"audio"\t"text"\t"lang"\n{quoted}\n')
    (segment,) = TSV(tmp_path).segments("de", "train")
    assert (segment.wav, segment.target) == ("a.wav", 'he said "no"')
    write(tmp_path / "train.tsv", 'audio\ttext\tlang\na.wav\t"no"\tde\n')
    (segment,) = TSV(tmp_path).segments("de", "train")
    assert segment.target == '"no"'  # quotes of a text


def test_faulty_rows_are_named(root):
    path = root / "dev.tsv"
    lines = path.read_text("utf-8").splitlines()
    lines[1] = "de\tno audio\tnowhere.wav"
    lines[2] = "de\tfeatures\tfbank80.zip:10:20"
    lines[3] = "\tof no language\tdev1.mp3"
    lines[4] = "de\ttwo\tcells too\tmany"
    write(path, "\n".join([*lines, "de\tbroken", "de\tgood\tdev0.mp3"]) + "\n")
    found = check(root, Options(layout="tsv"), workers=1)
    assert sorted(found) == [
        f"{path}, line 2: there is no {root / 'nowhere.wav'}",
        f"{path}, line 3: fbank80.zip:10:20 is features, not audio; a manifest that was prepared "
        "before is for fairseq-train as it is",
        f"{path}, line 4: no lang",
        f"{path}, line 5: expected 3 cells, as line 1 has, found 4; is there a tab or line break "
        "in a text?",
        f"{path}, line 6: expected 3 cells, as line 1 has, found 2; is there a tab or line break "
        "in a text?",
    ]
    command = ["prepare", str(root), "--layout", "tsv", "--vocab-size", "44", "--workers", "1"]
    assert main([*command, "--skip-bad"]) == 0
    assert len((root / "fairseq" / "faulty.txt").read_text("utf-8").splitlines()) == 5


def test_what_tables_lack_is_said(tmp_path):
    write(tmp_path / "train.tsv", "audio,text,lang\n1.wav,hallo,de\n")
    with pytest.raises(DataError, match=r"train\.tsv, line 1: expected tabs between the columns"):
        TSV(tmp_path).languages()
    write(tmp_path / "train.tsv", "audio\ttext\n1.wav\thallo\n")
    with pytest.raises(DataError, match=r"expected the columns audio, text .* found audio, text"):
        TSV(tmp_path).languages()
    write(tmp_path / "train.tsv", "audio\ttext\tlang\n1.wav\thallo\tde\n")
    with pytest.raises(DataError, match="and with --target src_lang"):
        TSV(tmp_path, target="de").languages()
    with pytest.raises(DataError, match="a file, expected the folder"):
        TSV(tmp_path / "train.tsv").languages()
    with pytest.raises(DataError, match=r"found no \.tsv"):
        TSV(tmp_path / "..").languages()


def test_formats_that_are_not_read_are_refused_with_what_to_do(root):
    (root / "wav" / "dev0.mp3").rename(root / "wav" / "dev0.m4a")
    write(root / "wav" / "dev0.m4a", b"\0\0\0\x20ftypM4A isom")
    path = root / "dev.tsv"
    write(path, path.read_text("utf-8").replace("dev0.mp3", "dev0.m4a"))
    (problem,) = check(root, Options(layout="tsv", languages=("de",)), workers=1)
    assert problem.endswith(".m4a isn't read here: ffmpeg -i dev0.m4a -ac 1 -ar 16000 dev0.flac")
