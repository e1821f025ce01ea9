"""Scoring: what is read, what is refused, and that the figures are sacreBLEU's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import pytest
import sacrebleu

from fairseq_gist.cli.main import main
from fairseq_gist.errors import CheckpointError, DataError
from fairseq_gist.evaluation import (
    Reference,
    System,
    count_parameters,
    read_hypotheses,
    read_references,
    read_system,
    samples,
    score_corpus,
    verdict,
)
from fairseq_gist.evaluation.table import table

Row = Tuple[str, str, str]

ROWS: List[Row] = [
    ("de", "in five weeks from now", "in fünf Wochen ab heute"),
    ("fr", "in five weeks from now", "dans cinq semaines à partir d'aujourd'hui"),
    ("de", "three hundred and twelve", 'sie sagte: "dreihundertzwölf Kilometer"'),
    ("fr", "three hundred and twelve", "elle a dit\u2028trois cent douze kilomètres"),
    ("de", "a day", "am Donnerstag, dem zweiten Mai"),
    ("fr", "a day", "le jeudi deux mai de cette année"),
]
GOOD = [text for _, _, text in ROWS]
WORSE = [text.replace("cinq", "six").replace("fünf", "sechs") for text in GOOD]
WORSE[4] = "am Montag, dem dritten Mai"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with the subset ``tst``."""
    return write_manifest(tmp_path / "data", "tst", ROWS)


def write_manifest(data: Path, subset: str, rows: Sequence[Row], language: bool = True) -> Path:
    data.mkdir(exist_ok=True)
    columns = ["id", "audio", "n_frames", "tgt_text", "src_text"] + ["tgt_lang"] * language
    lines = ["\t".join(columns)]
    for number, (lang, source, target) in enumerate(rows):
        cells = [str(number), "a.zip:0:1", "9", target, source] + [lang] * language
        lines.append("\t".join(cells))
    (data / f"{subset}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return data


def write_output(
    directory: Path,
    subset: str,
    hypotheses: Dict[int, str],
    targets: Optional[Sequence[str]] = None,
) -> Path:
    """Write a file as fairseq-generate does: by length, with log lines in between."""
    directory.mkdir(exist_ok=True)
    lines = ["2022-05-01 10:00:00 | INFO | fairseq_cli.generate | {'D-0': 1}"]
    for row in sorted(hypotheses, key=lambda row: len(hypotheses[row])):
        if targets:
            lines.append(f"T-{row}\t{targets[row]}")
        lines.append(f"H-{row}\t-0.25\t▁{hypotheses[row]}")
        lines.append(f"D-{row}\t-0.25\t{hypotheses[row]}")
        lines.append(f"P-{row}\t-0.2500 -0.2500")
    lines.append(f"Generate {subset} with beam=5: BLEU = 12.34")
    path = directory / f"generate-{subset}.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run_score(tmp_path: Path, *options: str) -> int:
    output = str(tmp_path / "scores.json")
    return main(["score", *options, "--data", str(tmp_path / "data"), "--output", output])


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
        assert scores.bleu[language] == bleu.score
        assert scores.chrf[language] == chrf.score
    assert scores.bleu["average"] == (scores.bleu["de"] + scores.bleu["fr"]) / 2
    assert list(scores.chrf) == ["de", "fr", "average"]


def test_signatures_name_the_tokeniser_of_each_language() -> None:
    rows = [Reference("de", "ein Tag", ""), Reference("zh", "一天", "")]
    scores = score_corpus(["ein Tag", "一天"], rows)
    assert scores.bleu_signature.startswith("de: nrefs:1|case:mixed|")
    assert "tok:13a" in scores.bleu_signature
    assert "; zh: " in scores.bleu_signature
    assert "tok:zh" in scores.bleu_signature
    assert scores.chrf_signature.startswith("nrefs:1|case:mixed|")
    assert f"version:{sacrebleu.__version__}" in scores.chrf_signature


def test_a_subset_a_language_scores_as_the_mixed_subset_does(tmp_path: Path, data: Path) -> None:
    write_output(tmp_path / "mixed", "tst", dict(enumerate(WORSE)), GOOD)
    for language in ("de", "fr"):
        rows = [row for row in range(len(ROWS)) if ROWS[row][0] == language]
        write_manifest(data, f"tst_{language}", [ROWS[row] for row in rows])
        own = dict(enumerate(WORSE[row] for row in rows))
        write_output(tmp_path / "split", f"tst_{language}", own)
    mixed = read_system("a", tmp_path / "mixed", data, ["tst"])
    split = read_system("a", tmp_path / "split", data, ["tst_de", "tst_fr"])
    assert score_corpus(*mixed[1:3]) == score_corpus(*split[1:3])


# --------------------------------------------------------------------------------------- the text


def scored(hypotheses: List[str], name: str, parameters: Optional[int] = None):
    references = [Reference(language, text, source) for language, source, text in ROWS]
    system = System(name, hypotheses, references, parameters)
    return system, score_corpus(hypotheses, references)


def test_the_verdict_says_who_is_ahead_and_who_is_not() -> None:
    good, worse = scored(GOOD, "good", 30), scored(WORSE, "worse", 20)
    gap = good[1].bleu["average"] - worse[1].bleu["average"]
    ahead, behind = verdict([worse, good]), verdict([good, worse])
    assert ahead.startswith(f"good is {gap:.2f} BLEU above worse on average (chrF +")
    assert ahead.endswith("ahead in 2 of 2 languages, with 1.50 times the parameters.")
    assert behind.startswith(f"worse is {gap:.2f} BLEU below good on average (chrF -")
    assert "ahead in 0 of 2 languages" in behind
    assert verdict([good, scored(GOOD, "same")]).startswith("same is level with good on average")


def test_the_table_is_aligned_markdown() -> None:
    lines = table([scored(WORSE, "worse"), scored(GOOD, "good", 1234567)]).splitlines()
    assert len({len(line) for line in lines[:4]}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["BLEU", "parameters", "de", "fr", "average"]
    assert cells[3] == ["good", "1,234,567", "**100.00**", "**100.00**", "**100.00**"]
    assert lines[5].startswith("| chrF")


def test_samples_take_the_languages_in_turn_and_never_change() -> None:
    systems = [scored(GOOD, "good")[0], scored(WORSE, "worse")[0]]
    text = samples(systems, 3)
    assert [line for line in text.splitlines() if line.startswith("[")] == ["[de]", "[fr]", "[de]"]
    assert text == samples(systems, 3)
    assert samples(systems, 99).count("[de]") == 3


# ------------------------------------------------------------------------------------- parameters


def test_tied_parameters_count_once_and_buffers_never(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    embedding = torch.arange(12.0).view(4, 3)
    state = {
        "encoder.version": torch.tensor([3.0]),
        "encoder.embed_positions._float_tensor": torch.zeros(1),
        "encoder.norm.running_mean": torch.zeros(3),
        "encoder.norm.num_batches_tracked": torch.tensor(7),
        "encoder.fc.weight": torch.ones(5, 3),
        "encoder.again.weight": None,
        "decoder.embed_tokens.weight": embedding,
        "decoder.output_projection.weight": embedding.clone(),
        "gist_plan": torch.zeros(9, dtype=torch.long),
    }
    state["encoder.again.weight"] = state["encoder.fc.weight"]
    torch.save({"model": state}, str(tmp_path / "checkpoint.pt"))
    assert count_parameters(tmp_path / "checkpoint.pt") == 15 + 12
    state["decoder.output_projection.weight"] += 1
    torch.save({"model": state}, str(tmp_path / "checkpoint.pt"))
    assert count_parameters(tmp_path / "checkpoint.pt") == 15 + 24


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save([1], str(tmp_path / "list.pt"))
    (tmp_path / "text.pt").write_text("hello", encoding="utf-8")
    with pytest.raises(CheckpointError, match="no 'model' in it"):
        count_parameters(tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        count_parameters(tmp_path / "text.pt")


# -------------------------------------------------------------------------------- the command line


def test_the_command_writes_and_prints_the_comparison(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture
) -> None:
    write_output(tmp_path / "a", "tst", dict(enumerate(WORSE)), GOOD)
    write_output(tmp_path / "b", "tst", dict(enumerate(GOOD)), GOOD)
    status = run_score(
        tmp_path, f"shared={tmp_path / 'a'}", f"gist={tmp_path / 'b'}", "--subset", "tst",
        "--parameters", "shared=1000", "--parameters", "gist=2500", "--samples", "1",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert status == 0
    assert "2.50 times the parameters" in printed.splitlines()[-1]
    assert "reference" in printed
    systems = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))["systems"]
    assert [system["name"] for system in systems] == ["shared", "gist"]
    assert set(systems[1]) == {
        "name", "parameters", "hypotheses", "references", "bleu", "chrf", "signature",
        "chrf_signature",
    }  # fmt: skip
    assert systems[1]["parameters"] == 2500
    assert systems[1]["hypotheses"] == systems[1]["references"] == 6
    assert systems[1]["bleu"]["average"] == pytest.approx(100)
    assert "tok:13a" in systems[1]["signature"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a"], "expected NAME=DIR, found 'a'"),
        (["a=x", "a=y"], "NAME=DIR: 'a' is given twice"),
        (["a=x", "--parameters", "a=many"], "expected --parameters NAME=N, found 'a=many'"),
        (["a=x", "--parameters", "b=1"], "--parameters: 'b' is none of the systems a"),
        (["a=x", "--samples", "-1"], "--samples: expected 0 or more, found -1"),
        (["a=x"], "run fairseq-generate with --gen-subset tst"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture, options: List[str], message: str
) -> None:
    assert run_score(tmp_path, *options, "--subset", "tst") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "scores.json").exists()
