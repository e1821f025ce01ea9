"""The command on packages that the test makes, in both directions, and preparation of both."""

import csv
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("G722")

from fairseq_gist.cli.main import main
from fairseq_gist.corpora.people.options import FROM_CZECH, INTO_ENGLISH, PeopleOptions
from fairseq_gist.corpora.people.packages import KNOWN, find, needed
from fairseq_gist.corpora.people.phrases import plain_words
from fairseq_gist.errors import OptionError
from fairseq_gist.preparing.layouts.mustc import MustC
from fairseq_gist.sound.audio import read_samples
from tests.unit.corpora.people import packing

SPLITS = ("train", "dev", "tst-COMMON")


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    packing.fillets(folder)
    packing.tuxpaint(folder)
    packing.asterisk(folder)
    return folder


def build(out, packages, *options):
    command = ["corpus", "people", str(out), f"--packages={packages}", "--workers=2"]
    return main([*command, "--any-version", *options])


@pytest.fixture(scope="module")
def into_english(packages, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "into"
    assert build(out, packages) == 0
    return out


@pytest.fixture(scope="module")
def czech(packages, tmp_path_factory):
    out = tmp_path_factory.mktemp("corpus") / "czech"
    assert build(out, packages, "--direction=one-to-many") == 0
    return out


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(path):
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def refused(capsys, out, packages, *options, any_version=True):
    command = ["corpus", "people", str(out), f"--packages={packages}", "--workers=1"]
    code = main([*command, *(["--any-version"] if any_version else []), *options])
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "rror" in one]
    assert code != 0
    return line


# ------------------------------------------------------------------------------------ the corpora
def test_every_recording_is_in_the_corpus_or_in_the_list_of_what_is_left_out(into_english):
    record = json.loads((into_english / "corpus.json").read_text(encoding="utf-8"))
    counts = {
        language: sum(
            split["languages"].get(language, {"utterances": 0})["utterances"]
            for split in record["splits"].values()
        )
        for language in INTO_ENGLISH
    }
    left_out = rows(into_english / "dropped.tsv")
    for language in INTO_ENGLISH:
        games, stamps = language in ("cs", "nl"), language not in ("cs", "it")
        prompts = language in ("es", "fr", "it", "ru")
        lost = sum(row["language"] == language for row in left_out)
        assert counts[language] + lost == 30 * games + 10 * stamps + 10 * prompts
        assert counts[language] > 0
    assert record["dropped"]["no_text"] == {}
    layout = MustC(into_english, target="en")
    assert layout.languages() == list(INTO_ENGLISH)
    for language in INTO_ENGLISH:
        written = sum(len(layout.segments(language, split)) for split in SPLITS)
        assert written == counts[language]


def test_what_is_written_is_what_is_said(into_english):
    layout = MustC(into_english, target="en")
    spoken = {one.wav: one for split in SPLITS for one in layout.segments("ru", split)}
    one = spoken["tuxpaint.ru.food.apple.wav"]
    assert (one.source, one.target, one.speaker) == (
        "ru nice apple.",
        "A nice apple.",
        "tuxpaint-ru",
    )
    one = spoken["asterisk.ru.vm-apple.wav"]
    assert (one.source, one.target) == ("ru press apple.", "en press apple.")
    assert one.speaker == "asterisk-ru_XX_f_Somebody"
    spoken = {one.wav: one for split in SPLITS for one in layout.segments("nl", split)}
    one = spoken["fillets.nl.alpha.alpha-0.wav"]
    assert (one.source, one.target) == ("Nl says alpha 0.", "En says alpha 0.")
    assert one.speaker == "fillets-nl-small"


@pytest.mark.parametrize(
    ("language", "wav", "pitch"),
    [
        ("nl", "fillets.nl.alpha.alpha-1.wav", 710),
        ("es", "tuxpaint.es.food.berry.wav", 2015),
        ("es", "asterisk.es.vm-candy.wav", 723),
    ],
)
def test_sound_is_decoded_from_ogg_and_g722(into_english, language, wav, pitch):
    layout = MustC(into_english, target="en")
    (path,) = (into_english / f"{language}-en").rglob(wav)
    assert path == layout.wav(language, path.parents[1].name, wav)
    samples = read_samples(path, 0.0, 10.0)
    assert len(samples) == pytest.approx(8000, abs=40)
    middle = samples[2000:6000].astype(float)
    assert abs(middle).max() == pytest.approx(0.4, abs=0.08)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * 16000 / len(middle) == pytest.approx(pitch, abs=4)


@pytest.mark.parametrize("direction", ["into_english", "czech"])
def test_no_sentence_of_test_or_dev_is_heard_elsewhere(direction, request):
    folder = request.getfixturevalue(direction)
    layout = MustC(folder, target="en") if direction == "into_english" else MustC(folder, "cs")
    sentences, audio = {}, {}
    for language in layout.languages():
        for split in SPLITS:
            for one in layout.segments(language, split):
                texts = {plain_words(one.source), plain_words(one.target)}
                sentences.setdefault(split, set()).update(texts)
                data = layout.wav(language, split, one.wav).read_bytes()
                audio.setdefault(split, set()).add(hashlib.sha256(data).hexdigest())
    for found in (sentences, audio):
        assert all(found[split] for split in SPLITS)
        assert not found["train"] & found["dev"]
        assert not found["train"] & found["tst-COMMON"]
        assert not found["dev"] & found["tst-COMMON"]


def test_czech_has_the_same_lines_in_ten_languages_and_one_file_of_sound(czech):
    layout = MustC(czech, source="cs")
    assert layout.languages() == sorted(FROM_CZECH)
    levels = {}
    for split in SPLITS:
        found = {language: layout.segments(language, split) for language in FROM_CZECH}
        said = {tuple((one.wav, one.source) for one in segments) for segments in found.values()}
        assert len(said) == 1
        levels[split] = {one.wav.split(".")[2] for one in found["de"]}
        for german, english in zip(found["de"], found["en"]):
            assert german.target == english.target.replace("En says", "De says")
        wav = found["de"][0].wav
        assert layout.wav("de", split, wav).samefile(layout.wav("sv", split, wav))
    assert not levels["train"] & (levels["dev"] | levels["tst-COMMON"])
    assert len(set().union(*levels.values())) == 10
    names = {path.name for path in czech.iterdir()}
    assert {"CARD.md", "corpus.json", "dropped.tsv", "licences"} <= names
    assert ".work" not in names


def test_levels_are_in_the_same_split_in_both_directions(into_english, czech):
    into, out_of = MustC(into_english, target="en"), MustC(czech, source="cs")
    for split in SPLITS:
        english = {(one.wav, one.target) for one in into.segments("cs", split)}
        assert {(one.wav, one.target) for one in out_of.segments("en", split)} == english


def test_the_same_packages_give_the_same_bytes(into_english, packages, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(packages, moved)
    assert build(tmp_path / "again", moved, "--workers=1") == 0
    assert digests(tmp_path / "again") == digests(into_english)


def test_a_build_that_was_interrupted_goes_on(czech, packages, tmp_path, monkeypatch, capsys):
    out = tmp_path / "czech"
    with monkeypatch.context() as broken:
        broken.setattr("fairseq_gist.corpora.people.build.write_card", _interrupt)
        assert build(out, packages, "--direction=one-to-many") == 130
    capsys.readouterr()
    assert (out / ".work").is_dir()
    assert not (out / "corpus.json").exists()
    other = tmp_path / "other"
    shutil.copytree(packages, other)
    packing.write_deb(other, "fillets-ng-data-cs", {"./x": b""})
    line = refused(capsys, out, other, "--direction=one-to-many")
    assert "made with another fillets-ng-data-cs than" in line
    monkeypatch.setattr("fairseq_gist.corpora.people.recordings.decode", _interrupt)  # all there
    assert build(out, packages, "--direction=one-to-many") == 0
    assert digests(out) == digests(czech)


def _interrupt(*_):
    raise KeyboardInterrupt


def test_a_smaller_size_is_part_of_the_larger_one(into_english, packages, tmp_path):
    assert build(tmp_path / "small", packages, "--size=small", "--languages=nl,es") == 0
    large, small = MustC(into_english, target="en"), MustC(tmp_path / "small", target="en")
    assert small.languages() == ["es", "nl"]
    for language in ("es", "nl"):
        for split in SPLITS:
            mine = {one.wav for one in small.segments(language, split)}
            everything = {one.wav for one in large.segments(language, split)}
            assert mine <= everything
            if split == "train":
                assert len(mine) == -(-len(everything) // 4)
    sizes = [row for row in rows(tmp_path / "small" / "dropped.tsv") if row["rule"] == "size"]
    assert sizes


def test_the_card_says_sources_licences_speakers_and_what_is_left_out(into_english):
    card = (into_english / "CARD.md").read_text(encoding="utf-8")
    assert "| fillets-ng-data-cs | 9.9 | GPL-2 |" in card
    assert "| asterisk-core-sounds-es | 9.9 | CC-BY-SA-3.0 | 2003-2010, Some Speaker |" in card
    assert "| asterisk-core-sounds-ru-g722 | 9.9 | CC-BY-3.0 | 2010, Another |" in card
    record = json.loads((into_english / "corpus.json").read_text(encoding="utf-8"))
    assert record["packages"]["tuxpaint-stamps-default"]["sha256"] in card
    total = sum(one["utterances"] for one in record["splits"]["train"]["languages"].values())
    assert f"| all | {total:,} / " in card
    assert "fillets-cs-small" in card
    for rule in record["dropped"]:
        assert f"| {rule} |" in card
    licence = (into_english / "licences" / "fillets-ng-data.txt").read_text(encoding="utf-8")
    assert licence == packing.GPL


def test_a_finished_corpus_is_left_alone(into_english, packages, tmp_path, caplog, capsys):
    before = digests(into_english)
    with caplog.at_level("INFO"):
        assert build(into_english, packages) == 0
        assert build(into_english, tmp_path / "gone") == 0  # the packages aren't needed any more
        assert build(into_english, tmp_path) == 0
    assert digests(into_english) == before
    line = refused(capsys, into_english, packages, "--size=small")
    assert "made with size full, wanted small" in line
    other = tmp_path / "other"
    shutil.copytree(packages, other)
    packing.write_deb(other, "fillets-ng-data-nl", {"./x": b""})
    line = refused(capsys, into_english, other)
    assert (
        f"made with another fillets-ng-data-nl than {other / 'fillets-ng-data-nl_9.9_all.deb'}"
        in line
    )


# ------------------------------------------------------------------------------------ preparation
def test_both_directions_are_prepared(into_english, czech, tmp_path):
    shutil.copytree(into_english, tmp_path / "into")
    shutil.copytree(czech, tmp_path / "czech")
    prepare = ["prepare", "--workers=1"]
    assert main([*prepare, str(tmp_path / "into"), "--target=en", "--vocab-size=40"]) == 0
    found = rows(tmp_path / "into" / "fairseq" / "train.tsv")
    assert {row["src_lang"] for row in found} == set(INTO_ENGLISH)
    assert {row["tgt_lang"] for row in found} == {"en"}
    assert main([*prepare, str(tmp_path / "czech"), "--source=cs", "--vocab-size=48"]) == 0
    found = rows(tmp_path / "czech" / "fairseq" / "train.tsv")
    assert {row["tgt_lang"] for row in found} == set(FROM_CZECH)
    lines = len({row["audio"] for row in found})
    assert len(found) == 10 * lines  # sound is there once for ten languages
    assert lines == len(MustC(czech, source="cs").segments("de", "train"))


# -------------------------------------------------------------------------------------- bad input
def test_packages_that_are_missing(packages, tmp_path, capsys):
    few = tmp_path / "few"
    shutil.copytree(packages, few)
    (few / "fillets-ng-data_9.9_all.deb").unlink()
    line = refused(capsys, tmp_path / "out", few)
    assert f"{few}: no fillets-ng-data_*.deb; examples/people/fetch.sh gets it" in line
    (few / "asterisk-core-sounds-en_9.9_all.deb").unlink()
    line = refused(capsys, tmp_path / "out", few)
    assert "no fillets-ng-data_*.deb, no asterisk-core-sounds-en_*.deb" in line
    assert "gets them" in line
    assert "no such folder" in refused(capsys, tmp_path / "out", tmp_path / "none")
    assert not (tmp_path / "out").exists()


def test_packages_of_another_version(packages, tmp_path, capsys):
    line = refused(capsys, tmp_path / "out", packages, any_version=False)
    assert "fillets-ng-data_9.9_all.deb: version 9.9, expected 1.0.1-1.1; get that one" in line
    assert "--any-version" in line
    known = tmp_path / "known"
    packing.tuxpaint(known, KNOWN["tuxpaint-stamps-default"].version)
    line = refused(capsys, tmp_path / "out", known, "--languages=da", any_version=False)
    assert "SHA-256" in line
    assert "damaged, or built anew" in line
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_cut_off_or_another(packages, tmp_path, capsys):
    bad = tmp_path / "bad"
    shutil.copytree(packages, bad)
    path = bad / "fillets-ng-data-cs_9.9_all.deb"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    line = refused(capsys, tmp_path / "out", bad, "--direction=one-to-many")
    assert f"{path}: 'data.tar.xz' ends" in line
    assert "was its download cut off?" in line
    packing.write_deb(bad, "fillets-ng-data-cs", {}, package="other")
    line = refused(capsys, tmp_path / "out", bad, "--direction=one-to-many")
    assert f"{path}: expected the package fillets-ng-data-cs, found 'other'" in line
    packing.write_deb(bad, "fillets-ng-data-cs", {"./usr/share/x": b""})
    line = refused(capsys, tmp_path / "out", bad, "--direction=one-to-many")
    assert "no text and no speech in it" in line
    packing.write_deb(bad, "fillets-ng-data-cs", {"./../x": b""})
    line = refused(capsys, tmp_path / "out", bad, "--direction=one-to-many")
    assert "'./../x' in it leads outside" in line
    assert not (tmp_path / "out").exists()  # with whole packages it can be made now
    shutil.copy(path, bad / "fillets-ng-data-cs_1_all.deb")
    line = refused(capsys, tmp_path / "out", bad, "--direction=one-to-many")
    assert "expected one version of fillets-ng-data-cs" in line


def test_a_recording_that_cannot_be_decoded_is_left_out(tmp_path):
    packages = tmp_path / "packages"
    packing.fillets(packages)
    path = packages / "fillets-ng-data-cs_9.9_all.deb"
    root = "./usr/share/games/fillets-ng/sound"
    files = {
        f"{root}/{level}/cs/{level}-{n}.ogg": packing.ogg(0.5, 200 + 10 * (3 * place + n))
        for place, level in enumerate(packing.LEVELS)
        for n in range(3)
    }
    files[f"{root}/globe/cs/globe-1.ogg"] = b"OggS and nothing more"
    packing.write_deb(packages, "fillets-ng-data-cs", files)
    assert path.is_file()
    assert build(tmp_path / "out", packages, "--languages=cs") == 0
    (row,) = [one for one in rows(tmp_path / "out" / "dropped.tsv") if one["rule"] == "unreadable"]
    assert row["file"].endswith("globe/cs/globe-1.ogg")


def test_what_is_asked_for_and_is_not_there(tmp_path, packages, capsys):
    assert "--languages: 'de' is none of be, bg" in refused(
        capsys, tmp_path, packages, "--languages=de,cs"
    )
    with pytest.raises(OptionError, match="'cs' is none of"):
        PeopleOptions(direction="one-to-many", languages=("cs",)).validate()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    assert "holds other files" in refused(capsys, tmp_path / "out", packages)


def test_the_library_for_g722_may_be_missing(packages, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "G722", None)
    line = refused(capsys, tmp_path / "out", packages, "--languages=it")
    assert 'G722 is missing: pip install "fairseq-gist[corpora]"' in line
    assert build(tmp_path / "da", packages, "--languages=da") == 0  # nothing of it is needed


# ------------------------------------------------------------------------------------ the packages
def test_only_what_is_needed_is_asked_for(packages):
    assert needed(["cs"], False) == ["fillets-ng-data", "fillets-ng-data-cs"]
    assert needed(["da"], True) == ["tuxpaint-stamps-default"]
    assert set(needed(INTO_ENGLISH, True)) == set(KNOWN)
    (one,) = find(packages, ["tuxpaint-stamps-default"], any_version=True)
    assert one.licence in one.files()


def test_the_script_that_downloads_has_the_same_list():
    path = Path(__file__).parents[4] / "examples" / "people" / "packages.txt"
    lines = [
        line.split()
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    found = {name: (version, int(size), sha256) for name, version, size, sha256 in lines}
    assert found == {name: (one.version, one.size, one.sha256) for name, one in KNOWN.items()}
