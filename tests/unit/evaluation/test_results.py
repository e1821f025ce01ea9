"""Comparing systems: the bootstrap is sacreBLEU's, and the tables say what the numbers are."""

from __future__ import annotations

import csv
import random
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.evaluation import (
    Reference,
    Results,
    Run,
    check_comparable,
    collect,
    metric_tables,
    pairs_of,
    score_corpus,
    verdicts,
)
from fairseq_gist.evaluation import bootstrap as bootstrap_module
from fairseq_gist.evaluation.bootstrap import compare, resampled_averages, resampled_scores
from fairseq_gist.evaluation.layouts import as_csv, as_latex, as_markdown, table_paths
from fairseq_gist.evaluation.metrics import default_metrics
from tests.unit.translations import translated

WORDS = [
    "der",
    "die",
    "das",
    "Haus",
    "Garten",
    "Baum",
    "steht",
    "liegt",
    "grün",
    "im",
    "See",
    "und",
]
SAMPLES = 200
SEED = 12345


def sentences(seed: int, count: int) -> List[str]:
    """Sentences of a small vocabulary."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 9))) for _ in range(count)]


DE, FR = sentences(1, 40), sentences(2, 25)
ROWS = [Reference("de", text, "") for text in DE] + [Reference("fr", text, "") for text in FR]


def system(
    name: str, seed: int, errors: float, parameters: Optional[int] = None, subset: str = "tst"
) -> Run:
    texts = translated(DE + FR, seed, errors)
    return Run(name, subset, parameters, score_corpus(texts, ROWS), Path(f"{name}.json"))


def results(
    runs: Sequence[Run], against: Sequence[Tuple[str, str]] = (), baseline: str = ""
) -> Results:
    names = list(dict.fromkeys(run.name for run in runs))
    pairs = pairs_of(names, baseline or names[0], against)
    return collect(runs, baseline or names[0], pairs, SAMPLES, SEED)


@pytest.fixture(scope="module")
def four() -> Results:
    """A baseline and three systems, one of them with three seeds."""
    return results(
        [
            system("joint", 1, 0.30, 1000),
            system("random_2.5x", 2, 0.29, 2500),
            system("gradient", 3, 0.26, 2400),
            system("gradient", 4, 0.28, 2500),
            system("gradient", 5, 0.27, 2600),
            system("R&D 100% #1 {a|b}*", 6, 0.10),
        ],
        [("gradient", "random_2.5x")],
    )


# ------------------------------------------------------------------------------------- bootstrap


@pytest.mark.parametrize(("first", "second"), [(0.30, 0.29), (0.30, 0.25), (0.40, 0.20)])
def test_resamples_are_those_of_sacrebleu(
    first: float, second: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SACREBLEU_SEED", str(SEED))
    one, two = translated(DE, 1, first), translated(DE, 2, second)
    _, expected = PairedTest(
        [("one", one), ("two", two)],
        {"bleu": BLEU(), "chrf": CHRF()},
        [DE],
        test_type="bs",
        n_samples=SAMPLES,
    )()
    rows = [Reference("de", text, "") for text in DE]
    runs = [
        Run(name, "tst", None, score_corpus(texts, rows), Path(name))
        for name, texts in (("one", one), ("two", two))
    ]
    differences = results(runs).comparisons[0].differences
    assert differences["bleu"].value == expected["BLEU"][1].score - expected["BLEU"][0].score
    resampled = averages_of([[run.scores] for run in runs], SAMPLES, SEED)
    for metric, name in (("bleu", "BLEU"), ("chrf", "chrF2")):
        sizes = np.abs(resampled[metric][1] - resampled[metric][0])
        reached = np.sum(sizes - sizes.mean() >= abs(differences[metric].value))
        assert (reached + 1) / (SAMPLES + 1) == expected[name][1].p_value
        assert differences[metric].p >= expected[name][1].p_value


def averages_of(systems, samples: int, seed: int) -> dict:
    """Return by metric each system's resampled average over the languages."""
    scores = resampled_scores(systems, default_metrics(), samples, seed)
    return {metric: [resampled_averages(one) for one in own] for metric, own in scores.items()}


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (1.0, 0.317), (1.96, 0.05), (2.576, 0.01)])
def test_p_is_two_sided(value: float, p: float) -> None:
    resampled = value + np.random.default_rng(1).normal(size=100_000)
    assert compare(value, resampled, np.zeros(100_000)).p == pytest.approx(p, abs=0.005)


def test_resamples_are_drawn_within_each_language_for_all_systems_alike() -> None:
    runs = [system("a", 1, 0.3), system("b", 2, 0.2), system("b", 3, 0.25)]
    texts = [translated(DE + FR, 1, 0.3), translated(DE + FR, 2, 0.2), translated(DE + FR, 3, 0.25)]
    scores_of = [run.scores for run in runs]
    averages = averages_of([scores_of[:1], scores_of[1:]], 3, SEED)

    generator = np.random.default_rng(SEED)
    drawn = {
        language: generator.choice(count, size=(3, count))
        for language, count in (("de", len(DE)), ("fr", len(FR)))
    }
    for sample in range(3):
        for key, metric in (("bleu", BLEU()), ("chrf", CHRF())):
            scores = []
            for own in texts:
                by_language = [
                    metric.corpus_score(
                        [own[start + row] for row in drawn[language][sample]],
                        [[(DE + FR)[start + row] for row in drawn[language][sample]]],
                    ).score
                    for language, start in (("de", 0), ("fr", len(DE)))
                ]
                scores.append(sum(by_language) / 2)
            assert averages[key][0][sample] == pytest.approx(scores[0], abs=1e-9)
            assert averages[key][1][sample] == pytest.approx(sum(scores[1:]) / 2, abs=1e-9)


def test_how_many_resamples_are_drawn_at_once_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systems = [[system("a", 1, 0.3).scores]]
    whole = averages_of(systems, 20, SEED)
    monkeypatch.setattr(bootstrap_module, "_CELLS", 3 * len(DE))
    parts = averages_of(systems, 20, SEED)
    for metric, expected in whole.items():
        assert np.array_equal(parts[metric][0], expected[0])


def test_equal_outputs_are_no_difference_and_direction_does_not_matter() -> None:
    one, same = system("one", 1, 0.3), system("same", 1, 0.3)
    found = results([one, same]).comparisons[0].differences["bleu"]
    assert found == (0.0, 1.0, 0.0, 0.0)
    worse = system("worse", 2, 0.5)
    forth = results([one, worse]).comparisons[0].differences["chrf"]
    back = results([worse, one]).comparisons[0].differences["chrf"]
    assert (back.value, back.p) == (-forth.value, forth.p)
    assert forth.low < forth.value < forth.high < 0


def test_the_interval_holds_the_middle_of_the_resampled_differences() -> None:
    found = compare(50.0, np.arange(101.0), np.zeros(101))
    assert (found.low, found.high) == (2.5, 97.5)
    # differences - mean are -50 ... 50: two of 101 reach 50
    assert found.p == 3 / 102


# --------------------------------------------------------------------------------------- results


def test_seeds_come_together_under_their_name(four: Results) -> None:
    assert [entry.name for entry in four.entries] == [
        "joint", "random_2.5x", "gradient", "R&D 100% #1 {a|b}*",
    ]  # fmt: skip
    gradient = four.entry("gradient")
    averages = [run.scores.of("bleu")["average"] for run in gradient.runs]
    assert len(averages) == 3
    assert gradient.mean("bleu") == statistics.mean(averages)
    assert gradient.deviation("bleu") == statistics.stdev(averages)
    assert gradient.parameters == 2500
    assert four.times(gradient, "joint") == 2.5
    assert four.times(four.entries[3], "joint") is None


def test_who_is_compared_with_whom() -> None:
    names = ["a", "b", "c"]
    assert pairs_of(names, "a", []) == [("b", "a"), ("c", "a")]
    assert pairs_of(names, "b", [("c", "a"), ("c", "b")]) == [("a", "b"), ("c", "b"), ("c", "a")]
    assert pairs_of(["a"], "a", []) == []
    with pytest.raises(OptionError, match="--baseline: 'd' is none of the systems a, b, c"):
        pairs_of(names, "d", [])
    with pytest.raises(OptionError, match="--against: 'd' is none of the systems a, b, c"):
        pairs_of(names, "a", [("b", "d")])
    with pytest.raises(OptionError, match="--against b=b: a system is compared with another one"):
        pairs_of(names, "a", [("b", "b")])


def scored(rows: Sequence[Reference], subset: str) -> Run:
    scores = score_corpus([row.text for row in rows], rows)
    return Run("other", subset, None, scores, Path("other.json"))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (scored(ROWS[: len(DE)], "tst_de"), "same languages, found de of 'tst_de' and de, fr of"),
        (scored(ROWS[1:], "dev"), "different ones for 'de': 39 of 'dev' and 40 of 'tst'"),
        (scored([*ROWS[:-2], *ROWS[:-3:-1]], "tst"), "different ones for 'fr': 25 of 'tst' and 25"),
    ],
)
def test_what_was_scored_on_other_references_is_not_compared(run: Run, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_comparable([system("one", 1, 0.3), run])


def test_scores_of_other_signatures_are_not_compared() -> None:
    one, two = system("one", 1, 0.3), system("two", 2, 0.3)
    chrf = replace(two.scores.by_metric["chrf"], signature="nrefs:1|version:1.0")
    older = two._replace(
        scores=replace(two.scores, by_metric={**two.scores.by_metric, "chrf": chrf})
    )
    check_comparable([one, two])
    with pytest.raises(DataError, match=r"'two' \(two.json\) has chrF of the signature nrefs:1"):
        check_comparable([one, older])


# --------------------------------------------------------------------------------------- verdict


def test_the_verdict_says_who_is_ahead_and_whether_that_is_significant(four: Results) -> None:
    lines = dict(zip([pair[:2] for pair in four.comparisons], verdicts(four)))
    differences = {pair[:2]: pair.differences for pair in four.comparisons}
    line, (bleu, chrf) = lines["gradient", "random_2.5x"], (
        differences["gradient", "random_2.5x"][metric] for metric in ("bleu", "chrf")
    )  # fmt: skip
    assert line.startswith(
        f"gradient is {bleu.value:.2f} BLEU above random_2.5x (p = {bleu.p:.3f}, not significant "
        f"at 0.05), {chrf.value:.2f} chrF above it (p = {chrf.p:.3f}, "
    )
    assert line.endswith("languages, with 1.00 times the parameters.")
    best = lines["R&D 100% #1 {a|b}*", "joint"]
    assert "BLEU above joint (p = 0.005, significant at 0.05)" in best
    assert best.endswith("ahead in 2 by BLEU and 2 by chrF of 2 languages.")


def test_the_verdict_on_one_system_and_on_equal_ones() -> None:
    one, same = system("one", 1, 0.3), system("same", 1, 0.3)
    bleu, chrf = (one.scores.of(metric)["average"] for metric in ("bleu", "chrf"))
    assert verdicts(results([one])) == [f"one: BLEU {bleu:.2f}, chrF {chrf:.2f}."]
    assert verdicts(results([one, same])) == [
        "same is level with one in BLEU (p = 1.000, not significant at 0.05), level with it in "
        "chrF (p = 1.000, not significant at 0.05), ahead in 0 by BLEU and 0 by chrF of "
        "2 languages."
    ]


# --------------------------------------------------------------------------------------- layouts


def cells(line: str) -> List[str]:
    return [cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")]


def test_markdown_has_a_row_a_system_and_the_best_average_bold(four: Results) -> None:
    lines = metric_tables(four).splitlines()
    assert len({len(line) for line in lines[:6]}) == 1
    assert cells(lines[0]) == [
        "BLEU", "seeds", "parameters", "times", "de", "fr", "average", "p vs joint", "p vs others",
    ]  # fmt: skip
    joint, other, gradient, best = (cells(line) for line in lines[2:6])
    assert joint[:4] == ["joint", "1", "1,000", "1.00"]
    assert joint[7:] == ["-", "-"]
    assert other[8] == "-"
    entry = four.entry("gradient")
    assert gradient[:4] == ["gradient", "3", "2,500", "2.50"]
    assert gradient[4] == f"{entry.mean('bleu', 'de'):.2f}"
    assert gradient[6] == f"{entry.mean('bleu'):.2f} ± {entry.deviation('bleu'):.2f}"
    comparison = four.comparisons[-1]
    assert gradient[8] == f"random_2.5x: {comparison.differences['bleu'].p:.3f}"
    assert best[0] == "R&D 100% #1 {a/b}\\*"
    assert best[2:4] == ["-", "-"]
    assert best[6] == f"**{four.entries[3].mean('bleu'):.2f}**"
    assert "\n".join(lines).count("**") == 4
    assert lines[7].startswith("| chrF")


def test_a_single_system_is_compared_with_none() -> None:
    text = as_markdown(results([system("one", 1, 0.3, 1234567)]))
    assert cells(text.splitlines()[0]) == ["BLEU", "seeds", "parameters", "de", "fr", "average"]
    assert "1,234,567" in text
    assert "**" not in text
    assert "p:" not in text


def test_markdown_says_how_the_numbers_came_about(four: Results) -> None:
    text = as_markdown(four)
    run = four.entries[0].runs[0]
    for scored in run.scores.by_metric.values():
        assert scored.signature in text
    assert "Sentences of tst: 65 (de 40, fr 25)" in text
    assert "200 resamples of the sentences within each language" in text
    assert "seed 12345" in text
    assert "4 pairs of systems compared" in text
    assert "the 8 p-values are not corrected" in text
    difference = four.comparisons[-1].differences["bleu"]
    assert "| gradient - random_2.5x" in text
    assert f"{difference.low:+.2f} to {difference.high:+.2f}" in text


def test_csv_has_a_row_a_number_in_full_precision(four: Results) -> None:
    rows = list(csv.DictReader(as_csv(four).splitlines()))
    found: Dict[Tuple[str, ...], float] = {
        tuple(list(row.values())[:-1]): float(row["value"]) for row in rows
    }
    assert len(found) == len(rows)
    for seed, run in enumerate(four.entry("gradient").runs, start=1):
        for language, score in run.scores.of("chrf").items():
            assert found["gradient", "", str(seed), "chrF", language, "score"] == score
        assert found["gradient", "", str(seed), "", "", "parameters"] == run.parameters
    entry = four.entry("gradient")
    assert found["gradient", "", "", "BLEU", "fr", "mean"] == entry.mean("bleu", "fr")
    assert found["gradient", "", "", "BLEU", "average", "deviation"] == entry.deviation("bleu")
    assert found["gradient", "joint", "", "", "", "times"] == 2.5
    comparison = four.comparisons[-1]
    for quantity, value in comparison.differences["bleu"]._asdict().items():
        name = "difference" if quantity == "value" else quantity
        assert found["gradient", "random_2.5x", "", "BLEU", "average", name] == value


def test_latex_escapes_names_and_closes_what_it_opens(four: Results) -> None:
    text = as_latex(four)
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert r"R\&D 100\% \#1 \{a$|$b\}{*} & 1 & - & - &" in text
    assert r"random\_2.5x: " in text
    assert r" $\pm$ " in text
    assert sum(r"\textbf{" in line for line in body) == 2
    assert [line for line in body if line.startswith(r"\begin")] == [
        r"\begin{tabular}{lrrrrrrrr}"
    ] * 2
    rows = [line for line in body if line.endswith(r"\\")]
    assert len(rows) == 2 * (1 + len(four.entries))
    assert {line.replace(r"\&", "").count("&") for line in rows} == {8}


def test_latex_names_of_every_awkward_sign() -> None:
    name = "[x] \\ ~ ^ < > $ _ ü"
    text = as_latex(results([system("one", 1, 0.3), system(name, 2, 0.3)]))
    assert (
        r"{[}x] \textbackslash{} \textasciitilde{} \textasciicircum{} $<$ $>$ \$ \_ ü & 1" in text
    )


@pytest.mark.parametrize("prefix", ["", "tables/", "."])
def test_a_prefix_is_the_beginning_of_file_names(prefix: str) -> None:
    with pytest.raises(OptionError, match="--table: expected the beginning of file names"):
        table_paths(prefix)


def test_a_dot_in_the_prefix_is_kept() -> None:
    assert [path.name for path in table_paths("out/at-2.5x")] == [
        "at-2.5x.md", "at-2.5x.csv", "at-2.5x.tex",
    ]  # fmt: skip
