"""The low-resource track of IWSLT: lists in YAML and without a header, languages in names."""

import pytest

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.layouts.iwslt import IWSLT
from fairseq_gist.preparing.options import Options
from tests.unit.preparing.layouts.building import noise, prepared, sentence, write


def write_tamasheq(folder):
    """As taq_fra_clean: YAML, names without an ending, no transcripts."""
    for split, count in (("train", 4), ("valid", 2), ("test", 2)):
        entries, lines = [], []
        for number in range(count):
            name = f"clean_JOURNAL_TAMASHEQ_-_2016-08-02_id_{split}{number}"
            noise(folder / split / "wav" / f"{name}.wav", 1.0, seed=number)
            entries.append(
                f"- {{duration: 0.9000000000000039, offset: 0.0, speaker_id: batouré, wav: {name}}}"
            )
            lines.append(sentence("fr", number))
        write(folder / split / "txt" / f"{split}.yaml", "\n".join(entries) + "\n")
        write(folder / split / "txt" / f"{split}.fra", "\n".join(lines) + "\n")
        write(folder / split / "txt" / "segments", "not read\n")


def write_irish(folder, text="test"):
    """As iwslt2023_ga-eng: a list without header, paths with their folder, a blind test."""
    for split, count in (("train", 4), ("dev", 2), ("test-2023", 2), ("test-2024", 1)):
        rows, lines = [], []
        for number in range(count):
            name = f"wav/iwslt2023_ga-eng_{split}_{number}.wav"
            noise(folder / split / name, 1.0, seed=number)
            rows.append(f"{name}\t0\t0.9")
            lines.append(sentence("en", number))
        write(folder / split / "stamped.tsv", "\n".join(rows) + "\n")
        if split != "test-2024":
            stem = text if split == "test-2023" else split
            write(folder / split / "txt" / f"{stem}.eng", "\n".join(lines) + "\n")


def test_yaml_without_endings_is_prepared_with_the_folder_as_root(tmp_path):
    root = tmp_path / "taq_fra_clean"
    write_tamasheq(root)
    options = Options(layout="iwslt", source="taq", vocab_size=28)
    rows = prepared(root, options, "valid")
    row = rows["clean_JOURNAL_TAMASHEQ_-_2016-08-02_id_valid0_0_fra"]
    assert (row["src_lang"], row["tgt_lang"]) == ("taq", "fra")
    assert (row["src_text"], row["speaker"]) == ("", "batouré")


def test_lists_without_a_header_are_prepared_into_english(tmp_path):
    write_irish(tmp_path / "iwslt2023_ga-eng")
    write_tamasheq(tmp_path / "taq_fra_clean")
    options = Options(layout="iwslt", target="en", vocab_size=25)
    rows = prepared(tmp_path, options, "test-2023")
    assert [row["tgt_text"] for row in rows.values()] == [sentence("en", 0), sentence("en", 1)]
    assert {(row["src_lang"], row["tgt_lang"]) for row in rows.values()} == {("ga", "en")}
    assert IWSLT(tmp_path, target="en").splits() == ("train", "dev", "test-2023")


def test_a_folder_whose_name_says_nothing_is_spoken_in_the_source(tmp_path):
    write_irish(tmp_path / "data", text="test-2023")
    layout = IWSLT(tmp_path, source="ga")
    assert layout.languages() == ["eng"]
    assert layout.splits() == ("train", "dev", "test-2023")
    assert [one.source for one in layout.segments("eng", "dev")] == ["", ""]


def test_segments_are_read_where_there_is_no_other_list(tmp_path):
    """As in taq_fra_17h; and what was made of a text is no text of another language."""
    folder = tmp_path / "IWSLT2022_Tamasheq_data" / "data"
    write_tamasheq(folder)
    for split in ("train", "valid", "test"):
        (folder / split / "txt" / f"{split}.yaml").unlink()
        names = sorted(path.name for path in (folder / split / "wav").iterdir())
        lines = [f"wav/{name} tornan_foudaï 0.0 0.9000000000000039" for name in names]
        write(folder / split / "txt" / "segments", "\n".join(lines) + "\n")
        write(folder / split / "txt" / f"{split}.fra.tok", "one line\n")
    layout = IWSLT(folder.parent, source="taq")
    assert (layout.languages(), layout.splits()) == (["fra"], ("train", "valid", "test"))
    first, *others = layout.segments("fra", "train")
    assert (first.speaker, first.offset, first.target) == ("tornan_foudaï", 0.0, sentence("fr", 0))
    assert len(others) == 3
    assert layout.wav("fra", "train", first.wav).is_file()
    write(folder / "test" / "txt" / "segments", "wav/one.wav 0.0 0.9\n" * 2)
    _, wrong = layout.checked("fra", "test")
    assert "segments: segment 2: expected file, speaker, offset and duration with" in wrong[2]


def test_names_may_have_folders(tmp_path):
    """As those of the Levantine Arabic data."""
    root = tmp_path / "apc_eng" / "data"
    for split in ("train", "valid"):
        name = f"validation/Audio-Monologues/Alep_{split}.wav"
        noise(root / split / "wav" / name, 2.0)
        entries = [
            f"- {{duration: 0.93, offset: {place}.01, speaker_id: SID04, wav: {name}}}"
            for place in range(2)
        ]
        write(root / split / "txt" / f"{split}.yaml", "\n".join(entries) + "\n")
        for language, text in (("eng", "en"), ("apc", "es")):
            lines = [sentence(text, place) for place in range(2)]
            write(root / split / "txt" / f"{split}.{language}", "\n".join(lines) + "\n")
    options = Options(layout="iwslt", source="apc", vocab_size=25)
    rows = prepared(tmp_path / "apc_eng", options, "valid")
    assert rows["Alep_valid_1_eng"]["src_text"] == sentence("es", 1)


def test_a_pair_below_the_folder_data_is_found(tmp_path):
    """As the README of the Marathi data has it."""
    write_irish(tmp_path / "iwslt2025_ga-eng" / "data" / "iwslt2023-2024_ga-eng")
    layout = IWSLT(tmp_path / "iwslt2025_ga-eng", source="ga")
    assert layout.languages() == ["eng"]
    assert len(layout.segments("eng", "train")) == 4


def test_two_versions_of_a_pair_are_not_mixed(tmp_path):
    write_tamasheq(tmp_path / "taq_fra_17h")
    write_tamasheq(tmp_path / "taq_fra_clean")
    with pytest.raises(DataError, match="taq_fra_17h and taq_fra_clean are both taq-fra; name the"):
        IWSLT(tmp_path, source="taq").languages()


def test_lines_that_are_no_segments_are_named(tmp_path):
    root = tmp_path / "ga-eng"
    write_irish(root)
    write(root / "dev" / "stamped.tsv", "wav/1.wav 0 1.8\nwav/2.wav\tsoon\t1.8\n")
    layout = IWSLT(root, source="ga")
    segments, wrong = layout.checked("eng", "dev")
    assert not segments
    assert "stamped.tsv: segment 1: expected file, offset and duration with tabs" in wrong[1]
    assert "stamped.tsv: segment 2: offset should be seconds, found 'soon'" in wrong[2]
    write(root / "dev" / "txt" / "dev.eng", "one\n")
    with pytest.raises(DataError, match=r"dev\.eng: 1 lines, but stamped\.tsv lists 2 segments"):
        layout.checked("eng", "dev")
