"""The top of a report: three sentences and one picture, whatever is missing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.evaluation import write_scores
from fairseq_gist.report.chapters import page_of
from fairseq_gist.report.opening import opening_of
from fairseq_gist.report.sources import Content, find_content
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import LANGUAGES, grouped, statistics_of
from tests.unit.report.test_results import no_plan, scored

FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"
ALIKE = [["de", "nl"], ["es", "fr", "it"]]


def gradients(chunks=4):
    return statistics_of({unit: grouped(ALIKE) for unit in (FC1, FC2)}, chunks=chunks)


def plan(groups=ALIKE):
    return SharingPlan(
        LANGUAGES,
        {FC1: groups, FC2: [list(LANGUAGES)]},
        sizes={FC1: 100, FC2: 100},
        shared_parameters=1000,
    )


def sentences(opening):
    return [sentence.text for sentence in opening.sentences]


def test_three_sentences_say_what_was_decided_from_what_and_what_it_brought(tmp_path):
    gradients().save(tmp_path / "statistics.npz")
    plan().save(tmp_path / "plan.json")
    write_scores(tmp_path / "scores.json", [scored("shared", 1, 0.3), scored("other", 1, 0.1)])
    opening, _ = page_of(find_content([tmp_path], no_plan))
    decided, source, brought = sentences(opening)
    assert "split 1 of 2 units of the model among 5 languages" in decided
    assert "1.10 times as large" in decided
    assert source.startswith("From the gradients of 5 languages after update 100: ")
    assert "other is " in brought.lower()
    assert "BLEU" in brought
    assert "p " in brought


def test_what_is_missing_is_not_known():
    nothing = opening_of([Content("run")], [])
    assert nothing.figure is None
    assert [text.split(":")[0] for text in sentences(nothing)] == ["Not known"] * 3
    decided, source, _ = sentences(opening_of([Content("run", plans={"plan.json": plan()})], []))
    assert decided.startswith("To split 1 of 2")
    assert source == "Not known: no gradient statistics were found."


def test_several_plans_and_statistics_are_summed_up():
    one, other = plan(), plan([[language] for language in LANGUAGES])
    content = Content(
        "run",
        statistics={"a.npz": gradients(), "same.npz": gradients(), "b.npz": gradients(chunks=3)},
        plans={"a.json": one, "same.json": one, "b.json": other},
    )
    decided, source, _ = sentences(opening_of([content], []))
    assert decided.startswith("2 plans were found: they split 1 units among 5 languages")
    assert "1.10 to 1.40 times" in decided
    assert "(the last of 2)" in source


def test_the_picture_has_cosines_below_the_diagonal_and_time_together_above():
    statistics = gradients()
    content = Content("run", statistics={"s": statistics}, plans={"p": plan()})
    figure = opening_of([content], []).figure
    cosines = statistics.cosines().mean(axis=0)
    place = {language: index for index, language in enumerate(LANGUAGES)}
    assert len(figure.table.rows) == 10
    for one, other, cosine, share in figure.table.rows:
        assert cosine == pytest.approx(cosines[place[one], place[other]], abs=1e-12)
        assert share == float(any({one, other} <= set(group) for group in ALIKE))
    panel = figure.draw().axes[0]
    greens, blues = (mesh.get_array().reshape(5, 5) for mesh in panel.collections)
    assert [tick.get_text() for tick in panel.get_yticklabels()] == [
        tick.get_text() for tick in panel.get_xticklabels()
    ]
    for row, column in itertools.product(range(5), repeat=2):
        assert np.ma.getmaskarray(blues)[row, column] == (column >= row)
        assert np.ma.getmaskarray(greens)[row, column] == (column <= row)


@pytest.mark.parametrize("missing", ["statistics", "plans"])
def test_a_picture_of_one_thing_has_it_on_both_sides(missing):
    found = {"statistics": {"s": gradients()}, "plans": {"p": plan()}}
    found[missing] = {}
    figure = opening_of([Content("run", **found)], []).figure
    (mesh,) = figure.draw().axes[0].collections
    values = mesh.get_array().reshape(5, 5)
    assert (np.ma.getmaskarray(values) == np.eye(5, dtype=bool)).all()
    assert np.ma.allclose(values, values.T)
    assert figure.caption.startswith("Every cell: ")


def test_a_plan_of_other_languages_is_not_drawn_beside_the_gradients():
    other = SharingPlan(["xx", "yy"], {FC1: [["xx"], ["yy"]]})
    content = Content("run", statistics={"s": gradients()}, plans={"p": other})
    figure = opening_of([content], []).figure
    assert {row[3] for row in figure.table.rows} == {None}


def test_the_command_says_the_same_and_what_to_open(tmp_path, capsys):
    gradients().save(tmp_path / "statistics.npz")
    assert main(["report", str(tmp_path / "statistics.npz"), "-o", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("What was decided? Not known")
    assert printed[1].startswith("From what? From the gradients of 5 languages")
    assert printed[-1].startswith(f"Open {tmp_path / 'out' / 'index.html'} in a browser")
