"""``fairseq-gist score``: from translations to scores files, from scores files to a table."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from fairseq_gist.cli.main import main
from tests.unit.translations import (
    GOOD,
    ROWS,
    WORSE,
    write_manifest,
    write_output,
    write_per_language,
)

OTHER = [text.replace("am", "an dem").replace("trois", "quatre") for text in GOOD]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with the subset ``tst``, beside which the command runs."""
    monkeypatch.chdir(tmp_path)
    return write_manifest(tmp_path / "data", "tst", ROWS)


@pytest.fixture
def files(data: Path, capsys: pytest.CaptureFixture) -> None:
    """Scores files of four runs, all of the same data, and one of three systems."""
    for name, texts, parameters in (
        ("joint", WORSE, 1000),
        ("random", OTHER, 2400),
        ("gist1", GOOD, 2400),
        ("gist2", OTHER, 2600),
    ):
        write_output(Path(name), "tst", dict(enumerate(texts)), GOOD)
        assert (
            score(f"{name}={name}", "--parameters", f"{name}={parameters}", "-o", f"{name}.json")
            == 0
        )
    assert score("joint=joint", "random=random", "gist=gist1", "-o", "three.json") == 0
    capsys.readouterr()


def score(*options: str) -> int:
    return main(["score", *options, "--data", "data", "--subset", "tst"])


def table(*options: str) -> int:
    return main(["score", *options, "--bootstrap-samples", "50"])


def entries(path: str) -> List[Dict[str, Any]]:
    return json.loads(Path(path).read_text(encoding="utf-8"))["systems"]


def test_the_command_writes_and_prints_the_comparison(
    data: Path, capsys: pytest.CaptureFixture
) -> None:
    write_output(Path("a"), "tst", dict(enumerate(WORSE)), GOOD)
    write_output(Path("b"), "tst", dict(enumerate(GOOD)), GOOD)
    status = score(
        "shared=a", "gist=b",
        "--parameters", "shared=1000", "--parameters", "gist=2500", "--samples", "1",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert status == 0
    assert "2.50 times the parameters" in printed.splitlines()[-1]
    assert "reference" in printed
    systems = entries("scores.json")
    assert [system["name"] for system in systems] == ["shared", "gist"]
    assert set(systems[1]) == {
        "name", "subset", "parameters", "hypotheses", "references", "metrics", "sentences",
    }  # fmt: skip
    assert systems[1]["parameters"] == 2500
    assert systems[1]["hypotheses"] == systems[1]["references"] == 6
    assert systems[1]["metrics"]["bleu"]["scores"]["average"] == pytest.approx(100)
    assert "tok:13a" in systems[1]["metrics"]["bleu"]["signature"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a"], "expected NAME=PATH, found 'a'"),
        (["a=x", "a=x"], "NAME=PATH: 'a=x' is given twice"),
        (["a=x", "--parameters", "a=1", "a=2"], "--parameters NAME=N: 'a' is given twice"),
        (["a=x", "--parameters", "a=many"], "expected --parameters NAME=N, found 'a=many'"),
        (["a=x", "--parameters", "b=1"], "--parameters: 'b' is none of the systems a"),
        (["a=x", "--samples", "-1"], "--samples: expected 0 or more, found -1"),
        (["a=x"], "run fairseq-generate with --gen-subset tst"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    data: Path, capsys: pytest.CaptureFixture, options: List[str], message: str
) -> None:
    assert score(*options) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not Path("scores.json").exists()


# -------------------------------------------------------------------------------- scores files


def test_a_scores_file_has_what_its_page_says(files: None) -> None:
    content = json.loads(Path("joint.json").read_text(encoding="utf-8"))
    assert content["schema"] == 2
    (entry,) = content["systems"]
    assert entry["subset"] == "tst"
    own = entry["sentences"]["de"]
    assert own["count"] == 3
    for metric, numbers in (("bleu", 10), ("chrf", 18)):
        counts = np.frombuffer(zlib.decompress(base64.b64decode(own["statistics"][metric])), "<i4")
        assert counts.reshape(3, numbers).sum() > 0


def test_scores_files_give_the_table_that_their_translations_give(
    files: None, capsys: pytest.CaptureFixture
) -> None:
    assert score("joint=joint", "gist=gist1", "--table", "a", "--bootstrap-samples", "50") == 0
    direct = capsys.readouterr().out
    assert table("joint=three.json", "gist=three.json", "--table", "b") == 0
    assert capsys.readouterr().out == direct
    for ending in ("md", "csv", "tex"):
        assert Path(f"a.{ending}").read_bytes() == Path(f"b.{ending}").read_bytes()


def test_a_table_of_seeds_baseline_and_pairs(files: None, capsys: pytest.CaptureFixture) -> None:
    status = table(
        "gist=gist1.json", "gist=gist2.json", "random=random.json", "joint=joint.json",
        "--baseline", "joint", "--against", "gist=random", "--table", "out/table",
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    last = printed.split("\n\n")[-1].splitlines()
    assert [line.split("(")[0].split()[0] for line in last] == ["gist", "random", "gist"]
    assert last[0].endswith("with 2.50 times the parameters.")
    assert " BLEU above random (p = " in last[2]
    assert "p vs joint" in Path("out/table.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "table.csv", "table.md", "table.tex",
    ]  # fmt: skip
    assert not Path("scores.json").exists()


def test_seeds_written_to_one_file_come_back_as_seeds(files: None) -> None:
    given = ("joint=joint.json", "gist=gist1.json", "gist=gist2.json")
    assert table(*given, "-o", "all.json", "--table", "a") == 0
    assert [entry["name"] for entry in entries("all.json")] == ["joint", "gist", "gist"]
    assert [entry["parameters"] for entry in entries("all.json")] == [1000, 2400, 2600]
    assert table("joint=all.json", "gist=all.json", "--table", "b") == 0
    assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()


def test_a_system_of_one_model_a_language(data: Path, capsys: pytest.CaptureFixture) -> None:
    torch = pytest.importorskip("torch")
    write_per_language(data, Path("split"), "tst", WORSE)
    write_output(Path("whole"), "tst", dict(enumerate(WORSE)), GOOD)
    for language, size in (("de", 5), ("fr", 7)):
        torch.save({"model": {"weight": torch.ones(size)}}, f"{language}.pt")
    status = score(
        "whole=whole", "split=split", "--parameters", "whole=6",
        "--checkpoint", "split=de.pt", "split=fr.pt",
    )  # fmt: skip
    assert status == 0
    assert "with 2.00 times the parameters." in capsys.readouterr().out
    whole, split = entries("scores.json")
    assert split["parameters"] == 12
    assert split["sentences"] == whole["sentences"]


def test_chrf_with_words_is_called_so_everywhere(data: Path, capsys: pytest.CaptureFixture) -> None:
    for name, texts in (("a", WORSE), ("b", GOOD)):
        write_output(Path(name), "tst", dict(enumerate(texts)), GOOD)
        assert score(f"{name}={name}", "--chrf-word-order", "2", "-o", f"{name}.json") == 0
    assert "nw:2" in entries("a.json")[0]["metrics"]["chrf"]["signature"]
    capsys.readouterr()
    assert table("a=a.json", "b=b.json", "--table", "t") == 0
    assert " chrF++ above it (p " in capsys.readouterr().out
    assert "| chrF++ " in Path("t.md").read_text(encoding="utf-8")
    assert ",chrF++," in Path("t.csv").read_text(encoding="utf-8")

    assert score("b=b", "-o", "plain.json") == 0
    assert table("a=a.json", "b=plain.json") == 1
    assert "has chrF of the signature" in capsys.readouterr().err


@pytest.mark.parametrize("order", ["0", "2"])
def test_a_file_of_the_first_schema_is_read(
    data: Path, capsys: pytest.CaptureFixture, order: str
) -> None:
    for name, texts in (("a", WORSE), ("b", GOOD)):
        write_output(Path(name), "tst", dict(enumerate(texts)), GOOD)
    assert score("a=a", "b=b", "--chrf-word-order", order, "--table", "new", "-o", "new.json") == 0
    content = json.loads(Path("new.json").read_text(encoding="utf-8"))
    content["schema"] = 1
    for entry in content["systems"]:
        found = entry.pop("metrics")
        entry.update({name: own["scores"] for name, own in found.items()})
        entry["signature"] = found["bleu"]["signature"]
        entry["chrf_signature"] = found["chrf"]["signature"]
        for own in entry["sentences"].values():
            own.update(own.pop("statistics"))
    Path("old.json").write_text(json.dumps(content), encoding="utf-8")
    assert main(["score", "a=old.json", "b=old.json", "--table", "old"]) == 0
    assert Path("old.csv").read_bytes() == Path("new.csv").read_bytes()
    assert Path("old.md").read_bytes() == Path("new.md").read_bytes()


def test_what_not_all_systems_have_is_left_out_with_a_word(
    files: None, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    assert score("gist=gist1", "--metrics", "chrf", "-o", "chrf.json") == 0
    capsys.readouterr()
    with caplog.at_level("WARNING"):
        assert table("joint=joint.json", "gist=chrf.json") == 0
    assert "BLEU" not in capsys.readouterr().out
    assert "BLEU of system 'joint' (joint.json) is left out" in caplog.text
    assert table("joint=joint.json", "gist=chrf.json", "--metrics", "bleu") == 1
    message = "system 'gist' was scored by chrf, not by bleu; score its translations by --metrics"
    assert message in capsys.readouterr().err
    assert score("joint=joint", "--metrics", "bleu", "-o", "bleu.json") == 0
    assert table("joint=bleu.json", "gist=chrf.json") == 1
    assert "no metric in common: 'joint' by bleu; 'gist' by chrf" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["a=joint.json", "--against", "a=b"], "--against: 'b' is none of the systems a"),
        (["a=joint.json", "--baseline", "b"], "--baseline: 'b' is none of the systems a"),
        (["a=joint.json", "a=joint.json"], "NAME=PATH: 'a=joint.json' is given twice"),
        (["a\nb=joint.json"], "expected NAME=PATH, found 'a b=joint.json'"),
        (["a=joint.json", "b=gist1"], "--data is needed to score the translations gist1"),
        (["b=gist1", "--data", "data"], "--subset is needed to score the translations gist1"),
        (
            ["b=gist1", "--data", "data", "--subset", ","],
            "--subset is needed to score the translations gist1",
        ),
        (["a=joint.json", "-o", "data"], "--output data: that is a folder; name a file"),
        (
            ["a=joint.json", "--table", "joint.json/t"],
            "joint.json is a file, not a folder",
        ),
        (["a=joint.json", "--samples", "1"], "--samples: expected a system with translations"),
        (["a=joint.json", "--chrf-word-order", "2"], "--chrf-word-order: expected a system with"),
        (["a=joint.json", "--bootstrap-samples", "0"], "--bootstrap-samples: expected 1 or more"),
        (["a=joint.json", "--bootstrap-seed", "-1"], "--bootstrap-seed: expected 0 or more"),
        (["a=joint.json", "-o", "joint.json"], "--output joint.json: that is an input"),
        (["a=joint.json", "--table", "data/"], "--table: expected the beginning of file names"),
        (["a=joint.json", "--parameters", "a=7"], "7 parameters by the options, 1000 in joint"),
        (["a=three.json"], "expected one system or one called 'a', found gist, joint, random"),
        (["a=nowhere.json"], "nowhere.json: no such file"),
        (["a=data/tst.tsv"], "data/tst.tsv: expected a scores file, or the folder that fairseq-g"),
    ],
)
def test_a_mistake_with_scores_files_is_one_line(
    files: None, capsys: pytest.CaptureFixture, options: List[str], message: str
) -> None:
    before = sorted(Path(".").rglob("*"))
    assert main(["score", *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert sorted(Path(".").rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.clear(), "found JSON without a list 'systems'"),
        (lambda content: content.update(schema=3), "expected scores of schema 2, found 3"),
        (lambda content: content.update(systems=[]), "one called 'gist', found none"),
        (
            lambda content: content["systems"][0].pop("sentences"),
            "system 'gist1' has no sentence statistics, so no p can be computed",
        ),
        (
            lambda content: content["systems"][0]["metrics"]["bleu"]["scores"].update(de=12.0),
            "BLEU doesn't follow from the sentence statistics",
        ),
        (
            lambda content: content["systems"][0]["sentences"]["de"].update(count=2),
            "expected bleu counts of 2 sentences",
        ),
        (
            lambda content: content["systems"][0]["sentences"].clear(),
            "system 'gist1' is not as fairseq-gist score writes it",
        ),
        (
            lambda content: content["systems"][0]["metrics"]["chrf"].pop("signature"),
            "not as fairseq-gist score writes it (KeyError: 'signature')",
        ),
        (
            lambda content: content["systems"][0]["metrics"].update(guess={}),
            "system 'gist1': 'guess' is none of the metrics bleu, chrf",
        ),
        (
            lambda content: content["systems"][0]["metrics"]["chrf"]["options"].update(
                word_order=7
            ),
            "system 'gist1': chrF's word order: expected 0, 1 or 2, found 7",
        ),
        (
            lambda content: content["systems"][0]["sentences"]["fr"].update(references="0"),
            "expected the same references, found different ones for 'fr'",
        ),
        (
            lambda content: content["systems"][0]["metrics"]["bleu"].update(
                signature="nrefs:1|version:1"
            ),
            "has BLEU of the signature nrefs:1|version:1",
        ),
    ],
)
def test_scores_that_cannot_be_used_are_refused(
    files: None,
    capsys: pytest.CaptureFixture,
    change: Callable[[Dict[str, Any]], None],
    message: str,
) -> None:
    content = json.loads(Path("gist1.json").read_text(encoding="utf-8"))
    change(content)
    Path("gist1.json").write_text(json.dumps(content), encoding="utf-8")
    assert table("joint=joint.json", "gist=gist1.json", "--table", "t", "-o", "o.json") == 1
    assert message in capsys.readouterr().err
    assert not list(Path(".").glob("t.*"))
    assert not Path("o.json").exists()


def test_many_into_one_has_to_say_by_what_it_is_scored(
    data: Path, capsys: pytest.CaptureFixture
) -> None:
    manifest = Path("data/tst.tsv")
    head, *rows = manifest.read_text(encoding="utf-8").rstrip("\n").split("\n")
    target = head.split("\t").index("tgt_lang")
    turned = [head + "\tsrc_lang"]
    for row in rows:
        cells = row.split("\t")
        source, cells[target] = cells[target], "en"
        turned.append("\t".join([*cells, source]))
    manifest.write_text("\n".join(turned) + "\n", encoding="utf-8")
    write_output(Path("a"), "tst", dict(enumerate(GOOD)), GOOD)
    assert score("one=a") == 1
    error = capsys.readouterr().err
    assert "--language-key: all rows of tst are translated into 'en', from " in error
    assert not Path("scores.json").exists()
    assert score("one=a", "--language-key=src") == 0
    assert set(entries("scores.json")[0]["metrics"]["bleu"]["scores"]) > {"average", "de"}
    assert score("one=a", "--language-key=tgt", "--force") == 0
    assert "en" in entries("scores.json")[0]["metrics"]["bleu"]["scores"]


def test_empty_translations_are_counted(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_output(Path("a"), "tst", dict.fromkeys(range(len(GOOD)), ""), GOOD)
    assert score("one=a") == 0
    assert "system 'one' (a): 6 of 6 translations are empty" in caplog.text
