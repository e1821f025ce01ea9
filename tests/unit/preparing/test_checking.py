"""What is wrong with data: all of it at once, and what is left when it is left out."""

import shutil

import numpy as np
import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

import soundfile

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import check, prepare
from fairseq_gist.preparing.published import looks_like
from fairseq_gist.preparing.survey import summary
from tests.unit.preparing.test_prepare import (
    OPTIONS,
    TALKS,
    digest,
    features,
    layout,  # noqa: F401 - a fixture
    line_of,
    read,
    replace_line,
    write_layout,
)

SKIPPING = Options(vocab_size=60, skip_bad=True)


@pytest.fixture
def damaged(layout):  # noqa: F811
    """Six faults in four files: two bad lines, a bad time, a missing, a broken and a NaN wav."""
    replace_line(layout.listing("fr", "train"), 2, line_of(offset="soon", wav="ted_1.wav"))
    replace_line(layout.listing("fr", "train"), 4, "- {wav: ted_1.wav, offset: 1.0}")
    replace_line(layout.listing("de", "train"), 3, line_of(offset="99", wav="ted_1.wav"))
    layout.wav("ru", "train", "ted_2.wav").unlink()
    layout.wav("ru", "train", "ted_3.wav").write_bytes(b"RIFF no sound")
    path = layout.wav("fr", "train", "ted_3.wav")
    samples = soundfile.read(path, dtype="float32")[0]
    samples[round(1.5 * 16000)] = np.nan  # in the second of its five segments
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return layout


EXPECTED = [
    "en-de/data/train/txt/train.yaml: segment 3: ends at 99.60 s, but",
    "en-fr/data/train/txt/train.yaml: segment 2: offset should be seconds, found 'soon'",
    "en-fr/data/train/txt/train.yaml: segment 4: duration should be seconds, found nothing",
    "ted_2.wav (5 segments name it)",
    "en-ru/data/train/wav/ted_3.wav: not readable audio",
    "en-fr/data/train/wav/ted_3.wav: the sample at 1.5000 s is nan",
]


def files_below(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_all_problems_are_said_a_line_each_and_nothing_is_written(damaged, capsys):
    before = files_below(damaged.root)
    for workers in ("1", "2"):
        assert main(["prepare", str(damaged.root), "--check", "--workers", workers]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 6
        for expected in EXPECTED:
            assert any(expected in line for line in lines), expected
    assert files_below(damaged.root) == before


def test_good_data_have_no_problems(layout, capsys):  # noqa: F811
    before = files_below(layout.root)
    assert main(["prepare", str(layout.root), "--check", "--workers", "1"]) == 0
    assert capsys.readouterr().out == ""
    assert files_below(layout.root) == before


def test_whole_files_are_among_the_problems(damaged):
    damaged.text("de", "dev", "de").write_bytes(b"gr\xfc\xdfe\n" * 5)
    damaged.text("fr", "dev", "fr").write_text("zu wenig\n", encoding="utf-8")
    damaged.text("ru", "dev", "ru").unlink()
    shutil.rmtree(damaged.split("ru", "tst-COMMON"))
    found = check(damaged.root, OPTIONS, workers=1)
    assert len(found) == 9
    for expected in (
        r"dev.de, line 1: not UTF-8",
        r"dev.fr: 1 lines, but dev.yaml lists 5 segments",
        r"dev.ru: no such file",
    ):
        assert any(expected in problem for problem in found)


def test_an_error_names_several_problems_in_one_line(damaged):
    with pytest.raises(DataError, match=r"^5 problems: .*; and 1 more, which --check lists$") as e:
        prepare(damaged.root, damaged.root / "out", OPTIONS, workers=1)
    assert "\n" not in str(e.value)
    assert not (damaged.root / "out").exists()


def test_of_several_unusable_recordings_all_are_named(layout):  # noqa: F811
    for number, name in ((1, "ted_1"), (2, "ted_2"), (3, "ted_3")):
        path = layout.wav("ru", "train", f"{name}.wav")
        samples = soundfile.read(path, dtype="float32")[0]
        samples[[8000, 24000, 40000, 56000, 72000]] = np.inf
        soundfile.write(path, samples * number, 16000, subtype="FLOAT")
    with pytest.raises(DataError, match="^15 problems: .*ted_1.*; and 11 more"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert len(check(layout.root, OPTIONS, workers=1)) == 15


def test_a_summary_is_one_line():
    assert summary(["a", "a"]) == "a"
    assert summary(["a", "b"]) == "2 problems: a; b"
    assert summary(list("abcdef")) == "6 problems: a; b; c; d; and 2 more, which --check lists"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_faulty_is_left_out_counted_and_listed(damaged, tmp_path, workers, capsys, caplog):
    out = tmp_path / "out"
    command = ["prepare", str(damaged.root), "--out", str(out), "--vocab-size", "60", "--skip-bad"]
    for _ in range(2):  # when it is finished, too
        caplog.clear()
        with caplog.at_level("INFO"):
            assert main([*command, "--workers", str(workers)]) == 0
        assert "train: 31 rows; dropped: as faulty 14" in caplog.text
        assert f"6 problems: what is faulty was left out, see {out / 'faulty.txt'}" in caplog.text
    listed = (out / "faulty.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(listed) == sorted(check(damaged.root, OPTIONS, workers=1))
    ids = {row["id"] for row in read(out / "train.tsv")}
    assert len(ids) == 31
    assert {name for name in ids if name.endswith("_ru")} == {f"ted_1_{n}_ru" for n in range(5)}
    good = write_layout(tmp_path / "good")
    prepare(good.root, tmp_path / "whole", Options(vocab_size=60), workers=1)
    texts = {row["tgt_text"]: row for row in read(tmp_path / "whole" / "train.tsv")}
    for row in read(out / "train.tsv"):  # nothing has moved into another's place
        expected = features(tmp_path / "whole", texts[row["tgt_text"]]["audio"])
        np.testing.assert_allclose(features(out, row["audio"]), expected, atol=1e-2)


def test_without_faults_leaving_out_changes_nothing(layout, tmp_path):  # noqa: F811
    prepare(layout.root, tmp_path / "one", Options(vocab_size=75, skip_bad=True), workers=1)
    prepare(layout.root, tmp_path / "two", OPTIONS, workers=1)
    one, two = digest(tmp_path / "one"), digest(tmp_path / "two")
    assert one.pop("prepare.json") != two.pop("prepare.json")  # which says how it was made
    assert one == two


def test_whole_files_cannot_be_left_out(damaged):
    damaged.text("ru", "dev", "ru").unlink()
    with pytest.raises(DataError, match=r"dev\.ru: no such file$"):
        prepare(damaged.root, damaged.root / "out", SKIPPING, workers=1)


def test_a_language_of_which_nothing_is_left(layout):  # noqa: F811
    for path in layout.root.glob("en-ru/data/train/wav/*"):
        path.unlink()
    with pytest.raises(
        DataError, match=r"train\.yaml: no utterance is left; dropped: as faulty 15"
    ):
        prepare(layout.root, layout.root / "out", SKIPPING, workers=1)


@pytest.mark.parametrize("has_transcripts", [True, False])
def test_many_languages_into_one_without_transcripts(layout, tmp_path, has_transcripts):  # noqa: F811
    """Laid out the other way round: what is spoken may be written down, English has to be."""
    for language in ("de", "fr", "ru"):
        shutil.copytree(layout.root / f"en-{language}", tmp_path / f"{language}-en")
        if not has_transcripts:
            for path in (tmp_path / f"{language}-en").rglob(f"*.{language}"):
                path.unlink()
    options = Options(target="en", vocab_size=30)
    record = prepare(tmp_path, tmp_path / "out", options, workers=1)
    untranscribed = {} if has_transcripts else {split: ["de", "fr", "ru"] for split in TALKS}
    assert record["untranscribed"] == untranscribed
    rows = read(tmp_path / "out" / "train_ru.tsv")
    assert [bool(row["src_text"]) for row in rows] == [has_transcripts] * 15
    assert {(row["src_lang"], row["tgt_lang"]) for row in rows} == {("ru", "en")}
    next(tmp_path.glob("ru-en/data/train/txt/train.en")).unlink()
    with pytest.raises(DataError, match=r"ru-en/data/train/txt/train\.en: no such file"):
        prepare(tmp_path, tmp_path / "other", options, workers=1)


# -- published data


def test_mtedx_is_read_by_its_layout(layout, tmp_path, capsys):  # noqa: F811
    root = tmp_path / "mtedx"
    names = {"train": "train", "dev": "valid", "tst-COMMON": "test"}
    for language in ("fr", "ru"):
        for split, new in names.items():
            folder = root / f"es-{language}" / "data" / new
            (folder / "txt").mkdir(parents=True)
            shutil.copy(layout.listing(language, split), folder / "txt" / f"{new}.yaml")
            shutil.copy(layout.text(language, split, "en"), folder / "txt" / f"{new}.es")
            shutil.copy(
                layout.text(language, split, language), folder / "txt" / f"{new}.{language}"
            )
            (folder / "wav").mkdir()
            for path in layout.split(language, split).glob("wav/*.wav"):
                samples, rate = soundfile.read(path)
                soundfile.write(folder / "wav" / f"{path.stem}.flac", samples, rate)
    command = ["prepare", str(root), "--workers", "1", "--vocab-size", "60"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "expected en-XX/data, found none" in error
    assert "this looks like --layout mtedx" in error
    assert main([*command, "--source", "es"]) == 1
    error = capsys.readouterr().err
    assert "no language has segments of split 'dev'; this looks like --layout mtedx" in error
    assert main([*command, "--source", "es", "--layout", "mtedx"]) == 0
    rows = read(root / "fairseq" / "valid.tsv")
    assert len(rows) == 10
    assert {row["src_lang"] for row in rows} == {"es"}
    wav = layout.wav("fr", "dev", "ted_4.wav")
    assert wav.is_file()


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["data/train/txt/train.yaml"], "one language of a release: name the folder above"),
        (["es-en/data/valid/txt/valid.yaml", "es-en/data/test/txt/test.yaml"], "--layout mtedx"),
        (["en/de/train/segments.lst"], "--layout europarl-st"),
        (["de_de/train.tsv", "de_de/audio/train/1.wav"], "FLEURS"),
        (["clips/1.mp3", "validated.tsv"], "without CoVoST's tables"),
        (["de/clips/1.mp3"], "Common Voice"),
        (["de/clips/1.mp3", "de/covost_v2.de_en.tsv"], "--layout covost"),
        (["train/txt/train.yaml", "train/wav/1.wav"], "--layout iwslt"),
        (["ga-eng/train/stamped.tsv"], "--layout iwslt"),
        (["train/stm/1.stm"], "--layout stm"),
        (["cuts_train.jsonl.gz"], "--layout lhotse"),
        (["en-de/data/train/txt/train.yaml"], None),
        (["notes.txt"], None),
    ],
)
def test_published_layouts_are_told_by_name(tmp_path, files, name):
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    if name is None:
        assert looks_like(tmp_path) == ""
    else:
        assert name in looks_like(tmp_path)
