"""From the MuST-C layout to fairseq data: what is written, what is refused, what is resumed."""

import csv
import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("kaldi_native_fbank")
pytest.importorskip("sentencepiece")
pytest.importorskip("soundfile")

import sentencepiece
import soundfile

from fairseq_gist.cli.main import main
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import row_languages
from fairseq_gist.preparing import talk_features
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.mustc import MustC, write_split
from fairseq_gist.preparing.options import Options
from fairseq_gist.preparing.preparation import prepare
from fairseq_gist.sound.audio import read_samples, read_wave
from fairseq_gist.sound.filterbank import filterbank

WORDS = {
    "en": [
        "the",
        "cat",
        "and",
        "a",
        "dog",
        "saw",
        "two",
        "red",
        "birds",
        "in",
        "our",
        "old",
        "house",
    ],
    "de": [
        "die",
        "Katze",
        "und",
        "ein",
        "Hund",
        "sahen",
        "zwei",
        "rote",
        "Vögel",
        "in",
        "unserem",
        "Haus",
    ],
    "fr": [
        "le",
        "chat",
        "et",
        "un",
        "chien",
        "«",
        "virent",
        "»",
        "deux",
        "oiseaux",
        "à",
        "la",
        "maison",
    ],
    "ru": ["кошка", "и", "собака", "видели", "двух", "красных", "птиц", "в", "нашем", "доме"],
}
TALKS = {"train": ("ted_1", "ted_2", "ted_3"), "dev": ("ted_4",), "tst-COMMON": ("ted_5",)}
OPTIONS = Options(vocab_size=75)


def sentence(language, seed):
    return " ".join(np.random.default_rng(seed).permutation(WORDS[language])[:6])


def write_talk(path, seconds, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).normal(size=int(16000 * seconds))
    soundfile.write(path, samples, 16000, subtype="PCM_16")


def write_layout(root):
    layout = MustC(root)
    for language in ("de", "fr", "ru"):
        for split, talks in TALKS.items():
            rows = []
            for talk in talks:
                number = int(talk[-1])
                write_talk(layout.wav(language, split, f"{talk}.wav"), 6.0, number)
                for place in range(5):
                    seed = 10 * number + place
                    source, target = sentence("en", seed), sentence(language, seed)
                    offset, duration = 0.25 + place, 0.6 + 0.05 * place
                    rows.append(
                        Segment(f"{talk}.wav", offset, duration, f"spk.{number}", source, target, 0)
                    )
            write_split(layout, language, split, rows)
    return layout


@pytest.fixture
def layout(tmp_path):
    return write_layout(tmp_path / "mustc")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    layout = write_layout(tmp_path_factory.mktemp("prepared") / "mustc")
    prepare(layout.root, layout.root / "fairseq", OPTIONS, workers=1)
    return layout.root / "fairseq"


def read(path):
    """As fairseq reads it."""
    with open(path, encoding="utf-8") as file:
        reader = csv.DictReader(
            file,
            delimiter="\t",
            quotechar=None,
            doublequote=False,
            lineterminator="\n",
            quoting=csv.QUOTE_NONE,
        )
        return [dict(row) for row in reader]


def features(folder, audio):
    name, offset, length = audio.split(":")
    with open(folder / name, "rb") as file:
        file.seek(int(offset))
        return np.load(io.BytesIO(file.read(int(length))))


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file() and path.name != "config_st.yaml"
    }


def edit(path, change):
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def replace_line(path, number, line):
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[number - 1] = line
    path.write_text("\n".join(lines), encoding="utf-8")


# ------------------------------------------------------------------------------ what is written
def test_rows_of_all_languages(finished):
    rows = read(finished / "train.tsv")
    assert list(rows[0]) == [
        "id",
        "audio",
        "n_frames",
        "tgt_text",
        "speaker",
        "src_text",
        "src_lang",
        "tgt_lang",
    ]
    assert len(rows) == 3 * 15
    assert len({row["id"] for row in rows}) == len(rows)
    first = rows[0]
    assert (first["id"], first["speaker"]) == ("ted_1_0_de", "spk.1")
    assert (first["src_lang"], first["tgt_lang"]) == ("en", "de")
    assert (first["src_text"], first["tgt_text"]) == (sentence("en", 10), sentence("de", 10))


@pytest.mark.parametrize("split", ["train", "dev", "tst-COMMON"])
def test_each_language_has_manifests_of_its_own(finished, split):
    rows = read(finished / f"{split}.tsv")
    for language in ("de", "fr", "ru"):
        assert read(finished / f"{split}_{language}.tsv") == [
            row for row in rows if row["tgt_lang"] == language
        ]


def test_audio_is_stored_once_and_is_that_of_the_segment(finished):
    rows = [row for split in TALKS for row in read(finished / f"{split}.tsv")]
    with zipfile.ZipFile(finished / "fbank80.zip") as file:
        assert file.testzip() is None
        assert len(file.namelist()) == 25
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}
    assert len({row["audio"] for row in rows}) == 25
    layout = MustC(finished.parent)
    for language in ("de", "ru"):
        segment = layout.segments(language, "train")[7]
        row = next(row for row in rows if row["id"] == f"ted_2_2_{language}")
        samples, _ = soundfile.read(layout.wav(language, "train", segment.wav), dtype="float32")
        piece = samples[int(2.25 * 16000) : int(2.25 * 16000) + round(0.7 * 16000)]
        stored = features(finished, row["audio"])
        np.testing.assert_array_equal(stored, filterbank(piece))
        assert int(row["n_frames"]) == len(stored) == 68


def test_multiway_rows_are_side_by_side(finished):
    rows = read(finished / "multiway.tsv")
    assert len(rows) == 5 * 3
    for start in range(0, len(rows), 3):
        group = rows[start : start + 3]
        assert [row["tgt_lang"] for row in group] == ["de", "fr", "ru"]
        assert len({row["audio"] for row in group}) == 1
        assert len({row["src_text"] for row in group}) == 1


def test_the_vocabulary_is_laid_out_as_fairseqs(finished):
    pieces = (finished / "spm_unigram75_st.txt").read_text(encoding="utf-8").splitlines()
    assert pieces[:3] == ["<lang:de> 1", "<lang:fr> 1", "<lang:ru> 1"]
    assert len(pieces) == 75 - 4  # fairseq's dictionary adds its own four
    model = sentencepiece.SentencePieceProcessor(
        model_file=str(finished / "spm_unigram75_st.model")
    )
    assert [model.id_to_piece(i) for i in range(4)] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert [model.id_to_piece(i + 4) + " 1" for i in range(len(pieces))] == pieces
    assert model.unk_id() not in model.encode(sentence("ru", 3) + sentence("fr", 3))


def test_the_configuration(finished):
    config = yaml.safe_load((finished / "config_st.yaml").read_text(encoding="utf-8"))
    assert config == {
        "audio_root": str(finished),
        "bpe_tokenizer": {
            "bpe": "sentencepiece",
            "sentencepiece_model": "spm_unigram75_st.model",
        },
        "input_channels": 1,
        "input_feat_per_channel": 80,
        "prepend_tgt_lang_tag": True,
        "specaugment": {
            "freq_mask_F": 27,
            "freq_mask_N": 2,
            "time_mask_N": 2,
            "time_mask_T": 100,
            "time_mask_p": 1.0,
            "time_wrap_W": 0,
        },
        "transforms": {"*": ["utterance_cmvn"], "_train": ["utterance_cmvn", "specaugment"]},
        "vocab_filename": "spm_unigram75_st.txt",
    }


def test_stock_fairseq_reads_it(finished, monkeypatch, tmp_path):
    pytest.importorskip("fairseq")
    from fairseq.data import Dictionary, encoders
    from fairseq.data.audio.data_cfg import S2TDataConfig
    from fairseq.data.audio.speech_to_text_dataset import SpeechToTextDatasetCreator

    monkeypatch.chdir(tmp_path)  # nothing may depend on where it is started
    config = S2TDataConfig(finished / "config_st.yaml")
    dictionary = Dictionary.load(str(finished / config.vocab_filename))
    bpe = encoders.build_bpe(type("Args", (), config.bpe_tokenizer)())
    data = SpeechToTextDatasetCreator.from_tsv(
        str(finished), config, "dev", dictionary, None, bpe, False, 1, 1
    )
    assert len(dictionary) == 75
    item, row = data[4], read(finished / "dev.tsv")[4]
    stored = features(finished, row["audio"])
    normal = (stored - stored.mean(0)) / stored.std(0)
    np.testing.assert_allclose(item.source.numpy(), normal, atol=5e-3)
    assert dictionary[int(item.target[0])] == "<lang:de>"
    assert bpe.decode(dictionary.string(item.target[1:])) == row["tgt_text"]


def test_two_workers_write_the_bytes_that_one_writes(finished, tmp_path):
    prepare(finished.parent, tmp_path / "two", OPTIONS, workers=2)
    assert digest(tmp_path / "two") == digest(finished)


# ----------------------------------------------------------------------------- speech recognition
RECOGNITION = Options(vocab_size=75, asr=True, asr_vocab_size=30)


def test_transcripts_of_every_utterance_once(layout):
    other = "- {duration: 0.65, offset: 0.3, speaker_id: spk.4, wav: ted_4.wav}"
    replace_line(layout.text("ru", "dev", "yaml"), 1, other)  # within the tolerance
    replace_line(layout.text("fr", "dev", "fr"), 2, "")  # has a transcript all the same
    replace_line(layout.text("ru", "dev", "en"), 3, "more words")  # the same audio
    out = layout.root / "out"
    record = prepare(layout.root, out, RECOGNITION, workers=1)
    dropped = {"dropped_too_short": 0, "dropped_too_long": 0, "dropped_without_text": 0}
    assert record["asr"]["counts"]["dev"] == {"rows": 5, **dropped}
    rows = read(out / "dev_asr.tsv")
    assert [row["id"] for row in rows] == [f"ted_4_{place}_en" for place in (0, 2, 3, 4, 5)]
    for place, row in enumerate(rows):
        assert row["tgt_text"] == row["src_text"] == sentence("en", 40 + place)
        assert row["tgt_lang"] == row["src_lang"] == "en"
    german = read(out / "dev_de.tsv")
    assert [row["audio"] for row in rows] == [row["audio"] for row in german]
    assert len(read(out / "train_asr.tsv")) == 15


def test_recognition_has_a_vocabulary_and_configuration_of_its_own(layout):
    out = layout.root / "out"
    prepare(layout.root, out, RECOGNITION, workers=1)
    st, asr = (
        yaml.safe_load((out / f"config_{name}.yaml").read_text(encoding="utf-8"))
        for name in ("st", "asr")
    )
    assert asr["vocab_filename"] == "spm_unigram30_asr.txt"
    assert (st.pop("prepend_tgt_lang_tag"), asr.pop("prepend_tgt_lang_tag")) == (True, False)
    for config in (st, asr):
        del config["vocab_filename"], config["bpe_tokenizer"]
    assert asr == st
    pieces = (out / "spm_unigram30_asr.txt").read_text(encoding="utf-8").splitlines()
    assert len(pieces) == 26
    assert not any("<lang:" in piece for piece in pieces)


def test_the_recognition_configuration_follows_a_moved_folder_too(layout, tmp_path):
    prepare(layout.root, layout.root / "out", RECOGNITION, workers=1)
    moved = tmp_path / "moved"
    shutil.move(str(layout.root / "out"), moved)
    prepare(layout.root, moved, RECOGNITION, workers=1)
    assert yaml.safe_load((moved / "config_asr.yaml").read_text(encoding="utf-8"))[
        "audio_root"
    ] == str(moved)


def test_what_the_vocabulary_changes_is_said_with_its_figure(layout, caplog):
    for split in TALKS:
        edit(layout.text("ru", split, "ru"), lambda text: text.replace("\n", "\uff01\u2026\n"))
    command = ["prepare", str(layout.root), "--workers", "1", "--out", str(layout.root / "out")]
    for _ in range(2):  # when it is finished, too
        caplog.clear()
        with caplog.at_level("WARNING"):
            assert main([*command, "--vocab-size", "75"]) == 0
        assert "ru: the vocabulary changes 10 of 10 references (a perfect translation has chr" in (
            caplog.text
        )
        assert "one that is trained with --vocab-normalization identity keeps text" in caplog.text
        assert "de: the voc" not in caplog.text
    caplog.clear()
    command[-1] = str(layout.root / "kept")
    with caplog.at_level("WARNING"):
        assert main([*command, "--vocab-size", "75", "--vocab-normalization", "identity"]) == 0
    assert "the vocabulary changes" not in caplog.text
    processor = sentencepiece.SentencePieceProcessor(
        model_file=str(layout.root / "kept" / "spm_unigram75_st.model")
    )
    text = read(layout.root / "kept" / "train_ru.tsv")[0]["tgt_text"]
    assert "\uff01\u2026" in text
    assert processor.decode(processor.encode(text)) == text


def test_a_given_vocabulary_that_lacks_characters_is_told(layout, given, caplog):
    for split in TALKS:
        edit(layout.text("fr", split, "fr"), lambda text: text.replace("chat", "ch\u00e2t"))
    command = ["prepare", str(layout.root), "--workers", "1", "--vocabulary", str(given)]
    with caplog.at_level("WARNING"):
        assert main(command) == 0
    line = next(line for line in caplog.messages if line.startswith("fr: the vocabulary changes"))
    assert line.endswith("have characters that it lacks")


def test_too_large_a_vocabulary_for_recognition(layout):
    options = Options(vocab_size=75, asr=True)
    with pytest.raises(DataError, match="--asr-vocab-size 5000 is too large for the text of train"):
        prepare(layout.root, layout.root / "out", options, workers=1)


# ----------------------------------------------------------------------------- a given vocabulary
@pytest.fixture
def given(finished, tmp_path):
    """The vocabulary of another preparation, under another name."""
    prefix = tmp_path / "given" / "theirs"
    prefix.parent.mkdir()
    for extension in ("model", "txt"):
        name = f"spm_unigram75_st.{extension}"
        shutil.copy(finished / name, prefix.with_name(f"theirs.{extension}"))
    return prefix


def test_a_given_vocabulary_must_not_be_overwritten(layout, given):
    options = Options(asr=True, vocabulary=str(given.with_name("spm_unigram5000_asr")))
    with pytest.raises(OptionError, match="'spm_unigram5000_asr' is the name that --asr gives"):
        prepare(layout.root, layout.root / "out", options, workers=1)
    assert not (layout.root / "out").exists()


def test_a_given_vocabulary_is_taken(layout, given, capsys):
    out = layout.root / "fairseq"
    command = ["prepare", str(layout.root), "--vocabulary", str(given), "--languages", "de,ru"]
    assert main(command) == 0
    for extension in ("model", "txt"):
        name = f"theirs.{extension}"
        assert (out / name).read_bytes() == given.with_name(name).read_bytes()
    assert not list(out.glob("spm_*"))
    config = yaml.safe_load((out / "config_st.yaml").read_text(encoding="utf-8"))
    assert config["vocab_filename"] == "theirs.txt"
    assert config["bpe_tokenizer"]["sentencepiece_model"] == "theirs.model"
    assert (
        json.loads((out / "prepare.json").read_text(encoding="utf-8"))["options"]["vocabulary"]
        == "theirs"
    )
    assert main(command) == 0  # nothing to do
    edit(given.with_name("theirs.txt"), lambda text: text.replace(" 1\n", " 2\n", 1))
    assert main(command) == 1
    assert "prepared from other text or vocabulary" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda text: text.replace("<lang:fr> 1\n", "").replace("<lang:ru> 1\n", ""),
            r"theirs\.txt: no language tags <lang:fr>, <lang:ru>; .* \(de, fr, ru\): choose",
        ),
        (
            lambda text: text.replace("\n▁ 1", "\nstrange 1"),
            r"theirs\.txt does not fit theirs\.model: it lacks 1 \('▁'\) of the model's 71 pieces",
        ),
        (
            lambda text: text + "strange 1\n",
            r"does not fit theirs\.model: the model never gives 1 \('strange'\) of",
        ),
        (lambda text: text + "\n", r"theirs\.txt, line 72: expected a symbol, a space and a num"),
        (
            lambda text: text + "<lang:de> 1\n",
            r"theirs\.txt, line 72: '<lang:de>' is on line 1 too",
        ),
    ],
)
def test_a_dictionary_that_does_not_fit_is_refused_before_anything_is_written(
    layout, given, change, reason
):
    edit(given.with_name("theirs.txt"), change)
    with pytest.raises(DataError, match=reason):
        prepare(layout.root, layout.root / "out", Options(vocabulary=str(given)), workers=1)
    assert not (layout.root / "out").exists()


def test_padding_of_a_dictionary_is_welcome(layout, given):
    edit(given.with_name("theirs.txt"), lambda text: text + "madeupword0000 0\n")
    prepare(layout.root, layout.root / "out", Options(vocabulary=str(given)), workers=1)
    copied = (layout.root / "out" / "theirs.txt").read_text(encoding="utf-8")
    assert copied == given.with_name("theirs.txt").read_text(encoding="utf-8")
    assert copied.endswith("madeupword0000 0\n")


def test_a_given_vocabulary_that_is_not_there_or_no_model(layout, given):
    options = Options(vocabulary=str(given.with_name("no")))
    with pytest.raises(
        DataError, match=r"expected no\.model and no\.txt in .*, found no no\.model "
    ):
        prepare(layout.root, layout.root / "out", options, workers=1)
    given.with_name("theirs.model").write_text("no model", encoding="utf-8")
    with pytest.raises(DataError, match=r"theirs\.model: not a SentencePiece model"):
        prepare(layout.root, layout.root / "out", Options(vocabulary=str(given)), workers=1)


# ------------------------------------------------------------------------------- awkward content
def test_text_survives_the_tsv(layout):
    strange = 'say "no"\tand \\n \'yes\u2028then\u00a0stop'
    for language in ("de", "fr", "ru"):
        replace_line(layout.text(language, "dev", language), 2, strange)
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    rows = read(layout.root / "out" / "dev_fr.tsv")
    assert len(rows) == 5
    assert rows[1]["tgt_text"] == 'say "no" and \\n \'yes then\u00a0stop'
    assert all(None not in row and None not in row.values() for row in rows)


def test_byte_order_marks_are_no_text(layout):
    for path in layout.root.glob("*/data/*/txt/*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    prepare(
        layout.root, layout.root / "out", Options(vocab_size=75, asr=True, asr_vocab_size=33), 1
    )
    for path in (layout.root / "out").glob("*.tsv"):
        assert "\ufeff" not in path.read_text(encoding="utf-8")
    assert read(layout.root / "out" / "train.tsv")[0]["tgt_text"] == sentence("de", 10)


def test_a_given_dictionary_has_no_byte_order_mark_either(layout, given):
    whole = given.with_suffix(".txt").read_bytes()
    given.with_suffix(".txt").write_bytes(b"\xef\xbb\xbf" + whole)
    prepare(layout.root, layout.root / "out", Options(vocabulary=str(given)), workers=1)
    assert (layout.root / "out" / f"{given.name}.txt").read_bytes() == whole


def test_long_utterances_are_dropped_from_training_only(layout):
    record = prepare(layout.root, layout.root / "out", Options(vocab_size=70, max_frames=70), 1)
    # 0.6 to 0.8 s give 58, 63, 68, 73 and 78 frames
    assert record["counts"]["train"] == {
        "rows": 27,
        "dropped_too_short": 0,
        "dropped_too_long": 18,
        "dropped_without_text": 0,
    }
    assert record["counts"]["dev"]["rows"] == 15
    assert max(int(row["n_frames"]) for row in read(layout.root / "out/train.tsv")) == 68
    assert max(int(row["n_frames"]) for row in read(layout.root / "out/tst-COMMON.tsv")) == 78


def test_what_is_too_short_or_without_text_is_dropped_and_counted(layout):
    short = "- {duration: 0.064, offset: 1.0, speaker_id: spk.4, wav: ted_4.wav}"  # 4 frames
    replace_line(layout.text("de", "dev", "yaml"), 2, short)
    replace_line(layout.text("fr", "dev", "fr"), 3, "  ")
    record = prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert record["counts"]["dev"] == {
        "rows": 13,
        "dropped_too_short": 1,
        "dropped_too_long": 0,
        "dropped_without_text": 1,
    }
    assert record["multiway_utterances"] == 3
    assert len(read(layout.root / "out" / "multiway.tsv")) == 9


def test_languages_may_be_cut_differently(layout):
    other = "- {duration: 0.4, offset: 0.2, speaker_id: spk.4, wav: ted_4.wav}"
    replace_line(layout.text("de", "dev", "yaml"), 1, other)
    record = prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    rows = {row["id"]: row for row in read(layout.root / "out" / "dev.tsv")}
    assert record["multiway_utterances"] == 4
    assert "ted_4_1_de" not in rows  # the second utterance of the talk is French and Russian
    assert rows["ted_4_0_de"]["n_frames"] == "38"
    assert rows["ted_4_1_fr"]["audio"] == rows["ted_4_1_ru"]["audio"]


def test_an_utterance_cut_a_little_otherwise_takes_the_audio_of_the_first_language(layout):
    other = "- {duration: 0.65, offset: 0.2, speaker_id: spk.4, wav: ted_4.wav}"
    replace_line(layout.text("fr", "dev", "yaml"), 1, other)
    edit(layout.text("ru", "dev", "en"), lambda text: text.replace("\n", " .\n").upper())
    record = prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert record["multiway_utterances"] == 5
    multiway = read(layout.root / "out" / "multiway.tsv")[:3]
    own = {row["id"]: row for row in read(layout.root / "out" / "dev.tsv")}
    german = own["ted_4_1_de"]
    assert [row["id"] for row in multiway] == ["ted_4_1_de", "ted_4_0_fr", "ted_4_1_ru"]
    for row in multiway:
        for column in ("audio", "n_frames", "src_text"):
            assert row[column] == german[column]
        for column in ("tgt_text", "tgt_lang"):
            assert row[column] == own[row["id"]][column]
    assert own["ted_4_0_fr"]["audio"] != german["audio"]


def test_why_utterances_are_not_in_all_languages(layout, caplog):
    caplog.set_level("INFO")
    for language, place, text in (("fr", 2, "other words"), ("ru", 2, "others"), ("ru", 4, "no")):
        replace_line(layout.text(language, "dev", "en"), place, text)
    command = ["prepare", str(layout.root), "--vocab-size", "75", "--multiway-tolerance", "0.01"]
    assert main([*command, "--multiway-from", "dev,tst-COMMON"]) == 0
    assert "multiway: 3 utterances of dev in all languages, of 5" in caplog.text
    assert "  not in ru: english differs 2" in caplog.text
    record = json.loads((layout.root / "fairseq" / "prepare.json").read_text(encoding="utf-8"))
    assert record["multiway_utterances"] == 8
    assert record["multiway"]["dev"] == {
        "candidates": 5,
        "matched": 3,
        "unmatched": {"fr": {"english_differs": 1}, "ru": {"english_differs": 2}},
        "missing_in_one_language": {"ru": 1},
    }
    rows = read(layout.root / "fairseq" / "multiway.tsv")
    assert [row["id"].split("_")[1] for row in rows] == ["4"] * 9 + ["5"] * 15


def test_no_utterance_in_all_languages(layout, caplog):
    edit(layout.text("ru", "dev", "en"), lambda text: text.replace("\n", " more\n"))
    assert main(["prepare", str(layout.root), "--vocab-size", "75"]) == 0
    assert "multiway: no utterance of dev has all languages" in caplog.text
    assert not (layout.root / "fairseq" / "multiway.tsv").exists()


def test_no_utterance_in_all_languages_after_a_run_that_found_some(layout):
    edit(layout.text("ru", "tst-COMMON", "en"), lambda text: text.replace("\n", " more\n"))
    command = ["prepare", str(layout.root), "--workers", "1", "--vocab-size"]
    assert main([*command, "10000"]) == 1  # when multiway.tsv is written already
    assert (layout.root / "fairseq" / "multiway.tsv").exists()
    assert main([*command, "75", "--multiway-from", "tst-COMMON"]) == 0
    assert not (layout.root / "fairseq" / "multiway.tsv").exists()


def test_other_audio_of_the_same_name_is_kept_apart(layout):
    write_talk(layout.wav("ru", "dev", "ted_4.wav"), 6.0, seed=99)
    record = prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    rows = {row["id"]: row["audio"] for row in read(layout.root / "out" / "dev.tsv")}
    assert rows["ted_4_0_de"] == rows["ted_4_0_fr"] != rows["ted_4-2_0_ru"]
    # talk, time and words agree, so it is another encoding of the same utterances
    assert record["multiway_utterances"] == 5
    multiway = read(layout.root / "out" / "multiway.tsv")
    assert [row["id"] for row in multiway[:3]] == ["ted_4_0_de", "ted_4_0_fr", "ted_4-2_0_ru"]
    assert {row["audio"] for row in multiway[:3]} == {rows["ted_4_0_de"]}


@pytest.mark.parametrize("languages", [("de", "fr", "ru"), ("ru", "fr", "de")])
def test_a_recording_is_never_taken_for_one_whose_name_it_would_get(layout, languages):
    """Each language has another ted_4, and some a real ted_4-2, ted_4-3 or TED_4 beside it."""
    recordings = {}
    for number, language in enumerate(languages):
        names = ["ted_4", *(["ted_4-2", "ted_4-3", "TED_4"] if number else [])]
        rows = []
        for place, name in enumerate(names):
            path = layout.wav(language, "dev", f"{name}.wav")
            write_talk(path, 6.0, seed=100 + 10 * number + place)
            text = f"{sentence(language, place)} {language} {name}"
            rows.append(Segment(f"{name}.wav", 1.0, 2.0, "s", text, text, 0))
            recordings[text] = path
        write_split(layout, language, "dev", rows)
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    rows = read(layout.root / "out" / "dev.tsv")
    assert len(rows) == len({row["id"] for row in rows}) == len({row["audio"] for row in rows}) == 9
    for row in rows:
        samples, _ = soundfile.read(recordings[row["tgt_text"]], dtype="float32")
        expected = filterbank(samples[16000:48000])
        np.testing.assert_array_equal(features(layout.root / "out", row["audio"]), expected)


def test_unfinished_features_differ_by_more_than_case(layout):
    """Where TED_4 and ted_4 are one file, each language's would be the other's."""
    talks = [talk_features.Talk(f"dev/{name}", Path(name)) for name in ("ted_4", "TED_4")]
    names = {str(talk_features._cache(Path(), talk)).casefold() for talk in talks}
    assert len(names) == 2


def test_the_same_segment_twice_keeps_both_translations(layout):
    path = layout.text("de", "dev", "yaml")
    replace_line(path, 2, path.read_text(encoding="utf-8").split("\n")[0])
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    rows = {row["id"]: row for row in read(layout.root / "out" / "dev_de.tsv")}
    assert rows["ted_4_0_de"]["audio"] == rows["ted_4_0.1_de"]["audio"]
    assert rows["ted_4_0_de"]["tgt_text"] != rows["ted_4_0.1_de"]["tgt_text"]


def test_stereo_at_44_khz(layout):
    mono, _ = soundfile.read(layout.wav("de", "dev", "ted_4.wav"))
    for language in ("de", "fr", "ru"):
        wide = np.repeat(mono, 3)[: int(44100 * 6.0)]
        path = layout.wav(language, "dev", "ted_4.wav")
        soundfile.write(path, np.stack([wide, wide], axis=1), 44100)
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert {row["n_frames"] for row in read(layout.root / "out" / "dev.tsv")} == {
        "58",
        "63",
        "68",
        "73",
        "78",
    }


def test_yaml_in_other_styles(layout):
    path = layout.text("de", "dev", "yaml")
    before = layout.segments("de", "dev")
    path.write_text(
        yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8"))), encoding="utf-8"
    )
    assert layout.segments("de", "dev") == before


@pytest.mark.parametrize("other", ["ted_4", "'ted_4'"])
@pytest.mark.parametrize("speaker", ["0", "007", "no", "1_0", "null", "~", "1e3", "0x1F", "12:30"])
def test_a_speaker_is_what_the_file_says(layout, speaker, other):
    line = line_of().replace("spk.4", speaker)
    assert speaker in line
    replace_line(layout.text("de", "dev", "yaml"), 1, line)
    last = f"- {{duration: 0.8, offset: 4.25, speaker_id: {other}, wav: ted_4.wav}}"
    replace_line(layout.text("de", "dev", "yaml"), 5, last)
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    speakers = [row["speaker"] for row in read(layout.root / "out" / "dev_de.tsv")]
    assert speakers == [speaker, "spk.4", "spk.4", "spk.4", "ted_4"]


# -------------------------------------------------------------------------- finishing what began
def test_an_interrupted_run_is_finished(finished, tmp_path, monkeypatch):
    compute, done = talk_features._compute, []

    def two_talks(job):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(job)
        compute(job)

    out = tmp_path / "out"
    monkeypatch.setattr(talk_features, "_compute", two_talks)
    with pytest.raises(KeyboardInterrupt):
        prepare(finished.parent, out, OPTIONS, workers=1)
    assert [path.name for path in out.iterdir()] == [".work"]
    done.clear()
    monkeypatch.setattr(talk_features, "_compute", lambda job: done.append(job) or compute(job))
    prepare(finished.parent, out, OPTIONS, workers=1)
    assert len(done) == 3  # of five talks, two were there
    assert digest(out) == digest(finished)


def broken_text(layout):
    path = layout.text("fr", "train", "fr")
    whole = path.read_bytes()
    path.write_bytes(whole.replace("é".encode(), b"\xe9") + b"\xe9\n")
    return lambda: path.write_bytes(whole)


def broken_times(layout):
    path = layout.listing("fr", "dev")
    whole = path.read_bytes()
    replace_line(path, 3, line_of(offset="99"))
    return lambda: path.write_bytes(whole)


def broken_audio(layout):
    path = layout.wav("fr", "train", "ted_3.wav")
    samples, rate = soundfile.read(path, dtype="float32")
    whole = path.read_bytes()
    samples[30000] = np.nan
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return lambda: path.write_bytes(whole)


def broken_vocabulary(layout):
    path = layout.text("fr", "train", "fr")
    whole = path.read_bytes()
    path.write_text("".join(f"{chr(0x4E00 + line) * 9}\n" for line in range(15)), encoding="utf-8")
    return lambda: path.write_bytes(whole)


@pytest.mark.parametrize(
    "damage",
    [broken_text, broken_times, broken_audio, broken_vocabulary],
    ids=lambda it: it.__name__,
)
def test_after_mending_what_was_wrong_the_same_command_works(layout, finished, damage):
    mend = damage(layout)
    out = layout.root / "out"
    with pytest.raises(DataError):
        prepare(layout.root, out, Options(vocab_size=40), workers=1)
    mend()
    prepare(layout.root, out, OPTIONS, workers=1)
    assert digest(out) == digest(finished)


def test_a_language_may_be_left_out_of_what_is_unfinished(layout):
    out = layout.root / "out"
    with pytest.raises(DataError, match="too large"):
        prepare(layout.root, out, Options(vocab_size=9999), workers=1)
    assert (out / "dev_fr.tsv").exists()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    options = Options(languages=("de", "ru"), splits=("train", "dev"), vocab_size=60)
    prepare(layout.root, out, options, workers=1)
    prepare(layout.root, layout.root / "other", options, workers=1)
    (out / "notes.txt").unlink()
    assert digest(out) == digest(layout.root / "other")


def test_a_recording_that_changed_meanwhile_is_computed_anew(layout, monkeypatch):
    out = layout.root / "out"
    with pytest.raises(DataError, match="too large"):
        prepare(layout.root, out, Options(vocab_size=9999), workers=1)
    for language in ("de", "fr", "ru"):
        write_talk(layout.wav(language, "dev", "ted_4.wav"), 6.0, seed=77)
    compute, done = talk_features._compute, []
    monkeypatch.setattr(talk_features, "_compute", lambda job: done.append(job) or compute(job))
    prepare(layout.root, out, OPTIONS, workers=1)
    assert [Path(job.audio).name for job in done] == ["ted_4.wav"]
    samples, _ = soundfile.read(layout.wav("de", "dev", "ted_4.wav"), dtype="float32")
    stored = features(out, read(out / "dev.tsv")[0]["audio"])
    np.testing.assert_array_equal(stored, filterbank(samples[4000 : 4000 + 9600]))


def test_an_error_while_joining_leaves_no_half_written_file(layout, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(talk_features, "_store", fail)
    with pytest.raises(OSError, match="no space left"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert [path.name for path in (layout.root / "out").iterdir()] == [".work"]


def test_too_large_a_vocabulary_says_how_large_it_may_be_and_can_be_corrected(layout, capsys):
    command = ["prepare", str(layout.root), "--workers", "1", "--vocab-size"]
    assert main([*command, "10000"]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "--vocab-size 10000 is too large for the text of train: the most it can" in message
    largest = message.split()[-1]
    assert main([*command, largest]) == 0
    assert (layout.root / "fairseq" / f"spm_unigram{largest}_st.txt").is_file()


def test_too_small_a_vocabulary(layout):
    with pytest.raises(DataError, match=r"--vocab-size 20 is too small: .* alone are \d+"):
        prepare(layout.root, layout.root / "out", Options(vocab_size=20), workers=1)


def test_a_second_run_does_nothing_and_says_so(finished, caplog):
    caplog.set_level("INFO")
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert main(["prepare", str(finished.parent), "--vocab-size", "75"]) == 0
    assert "already prepared, nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_other_options_are_refused(finished):
    with pytest.raises(DataError, match=r"prepared with vocab_size 75, wanted 90; choose another"):
        prepare(finished.parent, finished, Options(vocab_size=90), workers=1)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("prepare.json", '{"options": ', "found no JSON"),
        ("prepare.json", "[]", "found JSON that is no object"),
        ("prepare.json", '{"options": {}, "inputs": "x"}', "found no 'counts' as it has"),
        (".work/options.json", "{", "found no JSON"),
    ],
)
def test_damaged_records_are_one_line(layout, capsys, name, content, found):
    path = layout.root / "out" / name
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    assert main(["prepare", str(layout.root), "--out", str(layout.root / "out")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{name}: expected what a run of this command wrote, {found}" in error
    assert "choose another --out or remove it" in error


def test_changed_text_is_noticed(layout):
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    edit(layout.text("fr", "train", "fr"), lambda text: text.replace("chat", "chien"))
    with pytest.raises(DataError, match="prepared from other text"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


def test_a_moved_folder_is_followed(finished, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(finished, moved)
    prepare(finished.parent, moved, OPTIONS, workers=1)
    assert yaml.safe_load((moved / "config_st.yaml").read_text(encoding="utf-8"))[
        "audio_root"
    ] == str(moved)


@pytest.mark.parametrize("content", ["", "[", "- a", "[" * 5000])
def test_a_damaged_configuration_is_one_line(finished, tmp_path, content):
    shutil.copytree(finished, tmp_path / "copy")
    (tmp_path / "copy" / "config_st.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"config_st\.yaml: expected .*, found none; remove "):
        prepare(finished.parent, tmp_path / "copy", OPTIONS, workers=1)


def test_tsv_files_of_others_are_not_overwritten(layout):
    out = layout.root / "out"
    out.mkdir()
    (out / "train.tsv").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="holds TSV files made otherwise"):
        prepare(layout.root, out, OPTIONS, workers=1)
    assert (out / "train.tsv").read_text(encoding="utf-8") == "mine"


# --------------------------------------------------------------------------------- what is wrong
def line_of(duration="0.6", offset="0.25", wav="ted_4.wav"):
    return f"- {{duration: {duration}, offset: {offset}, speaker_id: spk.4, wav: {wav}}}"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (line_of(wav="ted_9.wav"), r"dev\.yaml: segment 3: there is no .*dev/wav/ted_9\.wav"),
        (line_of(wav='"a\\0.wav"'), r"segment 3: wav should be a file name, found 'a.x00\.wav'"),
        (line_of(wav="x" * 300), r"segment 3: wav should be a file name, found 'x{60}\.\.\.'"),
        (line_of(wav="../ted_4.wav"), r"segment 3: wav should be a file name, found '\.\./ted_4"),
        (line_of(offset="99.5"), r"segment 3: ends at 100\.10 s, but .*ted_4\.wav is 6\.00 s long"),
        (line_of(duration="6.5"), r"segment 3: ends at 6\.75 s, but .* is 6\.00 s long"),
        (line_of(offset="-1"), r"segment 3: offset should be seconds from 0 on, found -1"),
        (line_of(offset="nan"), r"segment 3: offset should be seconds, found 'nan'"),
        (line_of(duration="long"), r"segment 3: duration should be seconds, found 'long'"),
        ("- {offset: 1.0, wav: ted_4.wav}", r"segment 3: duration should be seconds, found noth"),
        ("- ted_4.wav", r"segment 3: expected duration, offset and wav, found 'ted_4\.wav'"),
        ("- {offset: [", r"dev\.yaml, line 4: not YAML: "),
        (line_of(offset="1_0"), r"segment 3: offset should be seconds, found '1_0'"),
        (line_of(offset="0:00:03"), r"segment 3: offset should be seconds, found '0:00:03'"),
        (line_of(offset="1e999"), r"segment 3: offset should be seconds from 0 on, found 1e999"),
    ],
)
def test_bad_segments_are_named(layout, line, reason):
    replace_line(layout.text("fr", "dev", "yaml"), 3, line)
    with pytest.raises(DataError, match=reason):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


def test_a_segment_may_end_a_little_after_its_wav(layout):
    for language in ("de", "fr", "ru"):
        replace_line(layout.text(language, "dev", "yaml"), 5, line_of(offset="5.5", duration="0.8"))
    prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert read(layout.root / "out" / "dev.tsv")[4]["n_frames"] == "48"


def test_text_and_yaml_of_different_length(layout):
    path = layout.text("ru", "train", "ru")
    path.write_text(path.read_text(encoding="utf-8") + "ещё\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.ru: 16 lines, but train\.yaml lists 15 segments"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


def test_text_in_another_encoding(layout):
    path = layout.text("ru", "train", "ru")
    path.write_bytes(path.read_text(encoding="utf-8").encode("koi8-r"))
    with pytest.raises(DataError, match=r"train\.ru, line \d+: not UTF-8"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no audio", r"ted_4\.wav: not readable audio"), (None, r"no .*ted_4\.wav")],
)
def test_bad_audio_is_named(layout, content, reason):
    path = layout.wav("de", "dev", "ted_4.wav")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e15, "1e\\+15"), (-3e38, "-3e\\+38")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_no_sound_has_are_named(layout, value, shown, channels):
    path = layout.wav("de", "dev", "ted_4.wav")
    samples = np.repeat(soundfile.read(path)[0][:, None], channels, axis=1).astype(np.float32)
    samples[8 * 1600, -1] = value
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    with pytest.raises(
        DataError, match=rf"ted_4\.wav: the sample at 0\.8000 s is {shown}; expected"
    ):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


@pytest.mark.parametrize("scale", [3.0, 32768.0, 2.0**31])
def test_loud_samples_have_finite_features(tmp_path, scale):
    samples = scale * np.sin(np.arange(16000)).astype(np.float32)
    soundfile.write(tmp_path / "loud.wav", samples, 16000, subtype="FLOAT")
    assert np.isfinite(filterbank(read_samples(tmp_path / "loud.wav", 0.0, 1.0))).all()


@pytest.mark.parametrize("rate", [1, 999, 1000001, 2**31 - 1])
def test_a_sampling_rate_that_no_recording_has(layout, rate):
    path = layout.wav("de", "dev", "ted_4.wav")
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"ted_4\.wav: a sampling rate of {rate:,} Hz; expected"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_a_file_that_is_cut_off_is_named(tmp_path, kind):
    whole, cut = tmp_path / f"whole.{kind}", tmp_path / f"cut.{kind}"
    noise = 0.1 * np.random.default_rng(1).normal(size=16000 * 6)
    try:
        soundfile.write(whole, noise, 16000)
    except (RuntimeError, ValueError, TypeError):
        pytest.skip(f"this libsndfile writes no {kind}")
    assert len(read_samples(whole, 5.0, 1.0)) == 16000
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert len(read_samples(cut, 0.0, 1.0)) == 16000
    with pytest.raises(DataError, match=rf"cut\.{kind}: (ends at .* cut off\?|not readable audio)"):
        read_samples(cut, 5.0, 1.0)


def test_empty_audio(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(0), 16000)
    with pytest.raises(DataError, match=r"silent\.wav: the file holds no samples"):
        read_wave(tmp_path / "silent.wav")


@pytest.mark.parametrize(
    ("removed", "reason"),
    [
        (
            "en-fr/data/train",
            r"train\.yaml: no such file; every language has to have some of train",
        ),
        ("en-*/data/dev", r"mustc: no language has segments of split 'dev'; choose with --splits"),
        ("en-fr/data/dev/txt/dev.fr", r"txt/dev\.fr: no such file"),
        ("en-fr/data/train/txt/train.yaml", r"txt/train\.yaml: no such file"),
    ],
)
def test_missing_parts_are_named(layout, removed, reason):
    for path in layout.root.glob(removed):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DataError, match=reason):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


def test_an_empty_split_of_training(layout):
    for path in layout.files("fr", "train"):
        path.write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.yaml: lists no segments; every language has to"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)


@pytest.mark.parametrize("content", [None, "", "[]\n", "---\n"])
def test_a_language_without_development_data_is_prepared(layout, content, caplog):
    if content is None:
        shutil.rmtree(layout.split("fr", "dev"))
    else:
        for path in layout.files("fr", "dev"):
            path.write_text(content if path.suffix == ".yaml" else "", encoding="utf-8")
    out = layout.root / "out"
    command = ["prepare", str(layout.root), "--out", str(out), "--workers", "1", "--asr"]
    sizes = ["--vocab-size", "75", "--asr-vocab-size", "33"]
    with caplog.at_level("WARNING"):
        assert main([*command, *sizes]) == 0
    assert "dev: there is nothing of it in fr" in caplog.text
    assert "multiway: no utterance of dev has all languages" in caplog.text
    assert {row["tgt_lang"] for row in read(out / "dev.tsv")} == {"de", "ru"}
    assert not (out / "dev_fr.tsv").exists()
    assert not (out / "multiway.tsv").exists()
    assert len(read(out / "train_fr.tsv")) == 15
    assert len(read(out / "tst-COMMON_fr.tsv")) == 5
    assert len(read(out / "dev_asr.tsv")) == 5
    assert main([*command, *sizes]) == 0  # there is nothing to do


@pytest.mark.parametrize("splits", ["train", "*"])
def test_data_of_a_language_that_nobody_transcribed(layout, splits, caplog):
    for path in layout.root.glob(f"en-ru/data/{splits}/txt/*.en"):
        path.unlink()
    out = layout.root / "out"
    with caplog.at_level("WARNING"):
        assert main(["prepare", str(layout.root), "--out", str(out), "--vocab-size", "75"]) == 0
    assert "train: no transcripts in the data of ru, so src_text is empty there" in caplog.text
    rows = read(out / "train.tsv")
    assert {row["src_text"] for row in rows if row["tgt_lang"] == "ru"} == {""}
    assert sentence("en", 10) in {row["src_text"] for row in rows if row["tgt_lang"] == "de"}
    assert len({row["audio"] for row in rows}) == 15


def test_recognition_of_what_nobody_transcribed(layout):
    for path in layout.root.glob("*/data/*/txt/*.en"):
        path.unlink()
    options = Options(vocab_size=75, asr=True, asr_vocab_size=33)
    with pytest.raises(DataError, match="no utterance is left; dropped: without text 15"):
        prepare(layout.root, layout.root / "out", options, workers=1)
    record = prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    assert record["untranscribed"]["train"] == ["de", "fr", "ru"]
    assert record["multiway_utterances"] == 5  # by their times alone


def test_nothing_left_of_a_language(layout):
    with pytest.raises(DataError, match=r"train\.yaml: no utterance is left; dropped: too long 15"):
        prepare(layout.root, layout.root / "out", Options(vocab_size=75, max_frames=50), workers=1)


def test_other_folders_are_not_mistaken_for_the_layout(tmp_path, capsys):
    assert main(["prepare", str(tmp_path)]) == 1
    assert "not in the layout mustc: expected en-XX/data, found none" in capsys.readouterr().err
    assert main(["prepare", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_language_that_is_not_there(layout):
    with pytest.raises(DataError, match="no en-it, en-nl; there are de, fr, ru"):
        prepare(layout.root, layout.root / "out", Options(languages=("nl", "it", "de")), workers=1)


@pytest.mark.parametrize("name", ["f,r", "fr de", "fr.bak", "-fr", "fr_st"])
def test_a_language_that_can_not_be_in_file_names(layout, name):
    (layout.root / "en-fr").rename(layout.root / f"en-{name}")
    with pytest.raises(DataError, match=f"language '{name}': expected a code .* en-{name}, or"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=1)
    options = Options(languages=("de", "ru"), vocab_size=60)
    assert prepare(layout.root, layout.root / "out", options, workers=1)["counts"]


@pytest.mark.parametrize("name", ["cmn_Hant", "zh_CN", "zh-Hans-CN", "pt-br"])
def test_a_language_with_a_script_or_region(layout, name):
    (layout.root / "en-fr").rename(layout.root / f"en-{name}")
    for path in (layout.root / f"en-{name}").rglob("*.fr"):
        path.rename(path.with_suffix(f".{name}"))
    out = layout.root / "out"
    prepare(layout.root, out, OPTIONS, workers=1)
    rows = read(out / f"tst-COMMON_{name}.tsv")
    assert {row["tgt_lang"] for row in rows} == {name}
    assert rows[0]["id"] == f"ted_5_0_{name}"
    assert f"<lang:{name}> 1" in (out / "spm_unigram75_st.txt").read_text(encoding="utf-8")
    assert row_languages(rows, f"tst-COMMON_{name}", ["de", name], "m") == [name] * 5
    without = [{"id": row["id"]} for row in rows]
    assert row_languages(without, f"tst-COMMON_{name}", ["de", name], "m") == [name] * 5


def test_names_that_would_be_written_twice(layout):
    (layout.root / "en-fr").rename(layout.root / "en-asr")
    with pytest.raises(DataError, match=r"dev_asr\.tsv, train_asr\.tsv, .* be written twice"):
        prepare(layout.root, layout.root / "out", RECOGNITION, workers=1)
    (layout.root / "en-asr").rename(layout.root / "en-fr")
    options = Options(splits=("train", "dev", "dev_de"))
    with pytest.raises(DataError, match=r"dev_de\.tsv would be written twice"):
        prepare(layout.root, layout.root / "out", options, workers=1)
    with pytest.raises(DataError, match=r"split 'a/b': expected letters, digits"):
        prepare(layout.root, layout.root / "out", Options(splits=("train", "dev", "a/b")), 1)


def test_a_colon_in_the_path_is_refused_since_fairseq_splits_there(layout):
    with pytest.raises(DataError, match="path with a colon"):
        prepare(layout.root, layout.root / "8:30", OPTIONS, workers=1)


def test_impossible_options_are_all_named_at_once():
    options = Options(
        vocab_size=0, max_frames=3, specaugment="x", splits=("dev",), multiway_from=("test",)
    )
    with pytest.raises(OptionError, match="--specaugment.*--vocab-size.*--max-frames.*--splits"):
        options.validate()
    with pytest.raises(OptionError, match="--multiway-from: 'test' is not one of the splits dev"):
        options.validate()


def test_chosen_languages_and_splits(layout):
    command = ["prepare", str(layout.root), "--languages", "ru,de", "--splits", "train,dev"]
    command += ["--specaugment", "none", "--multiway-from", "train", "--vocab-size", "60"]
    assert main([*command, "--out", str(layout.root / "out")]) == 0
    out = layout.root / "out"
    assert {path.name for path in out.glob("*.tsv")} == {
        "train.tsv",
        "train_de.tsv",
        "train_ru.tsv",
        "dev.tsv",
        "dev_de.tsv",
        "dev_ru.tsv",
        "multiway.tsv",
    }
    assert len(read(out / "multiway.tsv")) == 30
    assert yaml.safe_load((out / "config_st.yaml").read_text(encoding="utf-8"))["transforms"] == {
        "*": ["utterance_cmvn"]
    }
    assert json.loads((out / "prepare.json").read_text(encoding="utf-8"))["options"][
        "languages"
    ] == ["de", "ru"]


def test_a_dead_process_is_an_error_and_not_a_hang(layout, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    def died(_):
        raise BrokenProcessPool("gone")

    monkeypatch.setattr(talk_features, "as_completed", died)
    with pytest.raises(DataError, match="process that computes filterbanks died"):
        prepare(layout.root, layout.root / "out", OPTIONS, workers=2)
