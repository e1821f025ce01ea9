"""Multilingual TEDx with what its files hold beside speech."""

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.mtedx import MTEDx
from fairseq_gist.preparing.options import Options
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write

OPTIONS = Options(layout="mtedx", source="es", vocab_size=40)


def write_split(root, pair, split, texts=None):
    source, target = pair.split("-")
    folder = root / pair / "data" / split
    entries = [
        f"- {{duration: 0.900000, offset: {place:.6f}, rW: 6, uW: 0, speaker_id: spk.1, "
        f"wav: {split}Talk.wav}}"
        for place in range(4)
    ]
    write(folder / "txt" / f"{split}.yaml", "\n".join(entries) + "\n")
    for language in {source, target}:
        lines = [sentence(language, place) for place in range(4)]
        if texts and language == target:
            lines[: len(texts)] = texts
        write(folder / "txt" / f"{split}.{language}", "\ufeff" + "\r\n".join(lines) + "\r\n")
    write(folder / "vtt" / f"{split}Talk.{source}.vtt", "WEBVTT\n")
    noise(folder / "wav" / f"{split}Talk.flac", 4.0)


@pytest.fixture
def root(tmp_path):
    noted = ["(Applause)", "[Music] (Laughter) ♪", "(Laughs) Thank you"]
    for split in ("train", "valid", "test"):
        write_split(tmp_path, "es-en", split, noted)
        write_split(tmp_path, "es-fr", split)
        write_split(tmp_path, "es-es", split)
    return tmp_path


def test_noises_are_no_text_of_training_and_stay_in_references(root):
    rows = prepared(root, OPTIONS, "train_en")
    assert [row["tgt_text"] for row in rows.values()] == ["(Laughs) Thank you", sentence("en", 3)]
    assert len(prepared(root, OPTIONS, "test_en")) == 4
    assert len(prepared(root, OPTIONS, "multiway")) == 8  # of valid
    assert not any("\ufeff" in row["src_text"] for row in rows.values())


def test_what_is_for_recognition_is_no_language_to_translate_into(root):
    assert MTEDx(root, "es").languages() == ["en", "fr"]


def test_what_training_is_to_be_given_is_said(root, caplog):
    tags = " --ignore-prefix-size 1"
    for direction, size, after in (
        (["--source", "es"], "40", tags),
        (["--target", "en"], "28", ""),
    ):
        out = root / direction[-1]
        command = ["prepare", str(root), "--layout", "mtedx", *direction, "--out", str(out)]
        with caplog.at_level("INFO"):
            assert main([*command, "--vocab-size", size, "--workers", "1"]) == 0
        said = f"{out}: ready for fairseq-train --config-yaml config_st.yaml{after}"
        assert said in [record.getMessage() for record in caplog.records]


def test_what_is_there_instead_is_said(root):
    expected = r"not in the layout mtedx: expected en-XX/data, found none; there are es-en, es-es, "
    with pytest.raises(DataError, match=f"{expected}es-fr: give --source es or --target (en|fr)"):
        MTEDx(root).languages()


def test_times_below_zero_are_named(root):
    listing = root / "es-en" / "data" / "train" / "txt" / "train.yaml"
    write(
        listing,
        listing.read_text(encoding="utf-8").replace("duration: 0.900000", "duration: -0.040000", 1),
    )
    with pytest.raises(DataError, match=r"train\.yaml: segment 1: duration should be seconds from"):
        MTEDx(root, "es").segments("en", "train")
    assert len(MTEDx(root, "es").checked("en", "train")[0]) == 3


def test_folders_in_another_case_are_found(root):
    (root / "es-fr").rename(root / "Es-pt_BR")
    for split in ("train", "valid", "test"):
        folder = root / "Es-pt_BR" / "data" / split / "txt"
        (folder / f"{split}.fr").rename(folder / f"{split}.pt-br")
    layout = MTEDx(root, "es")
    assert layout.languages() == ["en", "pt_BR"]
    assert len(layout.segments("pt_BR", "train")) == 4
