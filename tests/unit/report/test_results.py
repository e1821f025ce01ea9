"""Results and training in the report: numbers, and labels that can be read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation import (
    Compared,
    Run,
    collect,
    pairs_of,
    read_compared,
    score_corpus,
    write_scores,
)
from fairseq_gist.evaluation.references import Reference
from fairseq_gist.report.chapters import chapters_of
from fairseq_gist.report.figures.labels import place_labels
from fairseq_gist.report.figures.results import languages_results_figure, size_figure
from fairseq_gist.report.figures.training import losses_figures, similarity_figures
from fairseq_gist.report.sources import find_content
from fairseq_gist.report.style import new_figure
from fairseq_gist.report.training_log import Point, TrainingLog
from tests.unit.translations import translated

TEXTS = [f"der Zug fährt in {number} Minuten nach Köln ab" for number in range(30)]
ROWS = [Reference(language, text, "") for language in ("de", "nl") for text in TEXTS]


def scored(name, seed, errors, parameters=1_000_000, texts=TEXTS):
    hypotheses = translated(texts, seed, errors) + translated(texts, seed + 100, errors)
    rows = [Reference(language, text, "") for language in ("de", "nl") for text in texts]
    return Run(name, "tst", parameters, score_corpus(hypotheses, rows), Path(name))


def no_plan(_):
    return None


@pytest.fixture
def runs():
    return [
        scored("shared", 1, 0.3),
        scored("gradient-1.5", 2, 0.2, 1_500_000),
        scored("gradient-2.5", 3, 0.1, 2_500_000),
        scored("random-2.5", 4, 0.25, 2_500_000),
        scored("random-2.5", 5, 0.25, 2_600_000),
    ]


def test_the_figures_hold_the_scores(runs):
    names = list(dict.fromkeys(run.name for run in runs))
    results = collect(runs, "shared", pairs_of(names, "shared", []), 100, 1, with_intervals=True)
    for metric in ("bleu", "chrf"):
        table = languages_results_figure(results, metric, "signature").table
        assert len(table.rows) == 3 * len(names)
        for language, name, score, low, high in table.rows:
            assert score == results.entry(name).mean(metric, language)
            assert low < score < high
        sizes = {row[0]: row[1:] for row in size_figure(results, metric, "signature").table.rows}
        assert sizes["random-2.5"][:2] == (2, 2_550_000)
        assert sizes["random-2.5"][-1] == results.entry("random-2.5").deviation(metric)
        assert sizes["shared"][2] == results.entry("shared").mean(metric)


def test_an_interval_of_one_language_is_that_of_its_sentences(runs):
    one = scored("shared", 1, 0.3)
    results = collect([one], "shared", [], 300, 7, with_intervals=True)
    low, high = results.interval("shared", "bleu", "de")
    generator = np.random.default_rng(7)
    bleu = one.scores.by_metric["bleu"]
    counts = bleu.statistics["de"]
    drawn = generator.choice(len(counts), size=(300, len(counts)))
    scores = [bleu.metric.score(counts[rows]) for rows in drawn]
    assert (low, high) == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))


def test_only_systems_of_as_many_seeds_are_compared(tmp_path, runs):
    runs += [scored("shared", 6, 0.3), scored("shared", 7, 0.1)]
    runs += [scored("random-2.5", 8, 0.2, 2_500_000)]
    for number, run in enumerate(runs):
        write_scores(tmp_path / f"{number}.json", [run])
    chapters = chapters_of(find_content([tmp_path], no_plan))
    first, every = (chapter for chapter in chapters if chapter.title.startswith("Results"))
    assert first.title == "Results: the first seed of every system"
    assert every.title == "Results: the systems with 3 seeds"
    rows = {row[0]: row for row in first.figures[1].table.rows}
    assert {row[1] for row in rows.values()} == {1}
    assert rows["shared"][3] == runs[0].scores.of("bleu")["average"]
    assert len(rows) == 4
    rows = {row[0]: row for row in every.figures[1].table.rows}
    assert set(rows) == {"shared", "random-2.5"}
    assert {row[1] for row in rows.values()} == {3}


def test_systems_are_compared_as_their_scores_say(tmp_path, runs):
    one_seed = runs[:4]
    pairs = [("gradient-2.5", "random-2.5"), ("gradient-2.5", "elsewhere")]
    stated = tmp_path / "stated"
    stated.mkdir()
    write_scores(stated / "table.json", one_seed, Compared("gradient-1.5", pairs))
    unstated = tmp_path / "unstated"
    unstated.mkdir()
    write_scores(unstated / "table.json", one_seed)

    def lines(folder):
        chapters = chapters_of(find_content([folder], no_plan))
        (results,) = (chapter for chapter in chapters if chapter.title == "Results")
        return results.answers[0].text.splitlines()

    with_first = lines(unstated)
    assert len(with_first) == 3
    assert all("shared" in line for line in with_first)
    with_named = lines(stated)
    assert len(with_named) == 4
    assert sum("gradient-1.5" in line for line in with_named) == 3
    assert with_named[3].startswith("Gradient-2.5 is ")
    assert "random-2.5 (p" in with_named[3]


def test_comparisons_that_are_none_are_refused(tmp_path, runs):
    path = tmp_path / "scores.json"
    write_scores(path, runs[:2], Compared("shared", [("gradient-1.5", "shared")]))
    path.write_text(
        path.read_text(encoding="utf-8").replace('"baseline": "shared"', '"baseline": 3'),
        encoding="utf-8",
    )
    with pytest.raises(DataError, match="expected a baseline and comparisons of two systems each"):
        read_compared(path)


def test_results_of_several_runs_are_told_apart(tmp_path, runs):
    folders = [tmp_path / "one" / "run", tmp_path / "two" / "run"]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        own = [scored("shared", number, 0.3), scored(f"system {number}", number, 0.2)]
        write_scores(folder / "scores.json", own)
        write_scores(folder / "table.json", own)  # what a table repeats counts once
    contents = find_content(folders, no_plan)
    assert [content.name for content in contents] == ["one/run", "two/run"]
    (results,) = (chapter for chapter in chapters_of(contents) if chapter.title == "Results")
    figure = next(figure for figure in results.figures if figure.name == "results-bleu")
    systems = list(dict.fromkeys(figure.table.column("system")))
    assert systems == ["one/run: shared", "system 0", "two/run: shared", "system 1"]


def test_scores_of_other_references_are_a_table_of_their_own(tmp_path):
    write_scores(tmp_path / "a.json", [scored("shared", 1, 0.3)])
    write_scores(tmp_path / "b.json", [scored("other", 1, 0.3, texts=TEXTS[:20])])
    chapters = chapters_of(find_content([tmp_path], no_plan))
    assert [c.title for c in chapters if "Results" in c.title] == [
        "Results, tst (1)",
        "Results, tst (2)",
    ]


def test_panels_of_languages_are_as_many_points_wide(tmp_path):
    write_scores(tmp_path / "scores.json", [scored("shared", 1, 0.3), scored("other", 1, 0.1)])
    (results,) = (c for c in chapters_of(find_content([tmp_path], no_plan)) if c.title == "Results")
    panels = results.figures[0].draw().axes
    widths = [right - left for left, right in (p.get_xlim() for p in panels if p.get_visible())]
    assert widths == pytest.approx([widths[0]] * len(widths))
    for panel, column in zip(panels, dict.fromkeys(results.figures[0].table.column("language"))):
        left, right = panel.get_xlim()
        rows = [row[2:] for row in results.figures[0].table.rows if row[0] == column]
        assert left < np.min(rows)
        assert np.max(rows) < right


def test_without_sizes_there_is_no_curve(tmp_path):
    write_scores(tmp_path / "scores.json", [scored("shared", 1, 0.3, parameters=None)])
    (results,) = (c for c in chapters_of(find_content([tmp_path], no_plan)) if c.title == "Results")
    assert [figure.name for figure in results.figures] == ["results-bleu", "results-chrf"]
    assert {item.title for item in results.missing} == {"BLEU against size", "chrF against size"}


@pytest.mark.parametrize("count", [2, 12, 30])
def test_labels_lie_neither_on_each_other_nor_on_points(count):
    generator = np.random.default_rng(count)
    points = [(float(x), float(y)) for x, y in generator.uniform(size=(count, 2))]
    figure = new_figure(7.2, 5.0)
    panel = figure.subplots()
    panel.scatter(*zip(*points))
    texts = place_labels(figure, panel, points, [f"system-{number}" for number in range(count)])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    dots = [panel.transData.transform(point) for point in points]
    assert not [1 for box in boxes for dot in dots if box.contains(*dot)]


# ---------------------------------------------------------------------------------------- training
def log_of(languages, with_cosines=True):
    points = []
    for update in range(10, 110, 10):
        values = {f"loss_{language}": 5.0 - update / 50 for language in languages}
        if with_cosines:
            values["cos"] = update / 200
        points.append(Point(update, "train_inner", values))
        points.append(Point(update, "dev", {f"loss_{language}": 4.0 for language in languages}))
    points.append(Point(100, "train", {"cos_de_es": 0.3, "loss_average": 3.0}))
    return TrainingLog("a run", points, [60])


@pytest.mark.parametrize("count", [1, 8, 40])
def test_training_figures_hold_the_log(count):
    languages = [f"l{number:02d}" for number in range(count)]
    log = log_of(languages)
    (similarity,) = similarity_figures([log])
    assert ("mean", 50, 0.25) in similarity.table.rows
    assert ("de-es", 100, 0.3) in similarity.table.rows
    (losses,) = losses_figures([log])
    assert len(losses.table.rows) == 2 * 10 * count
    assert ("validation", languages[0], 50, 4.0) in losses.table.rows
    assert "differentiated after update 60" in losses.caption
    similarity.draw()
    drawn = losses.draw()
    looks = {(line.get_color(), line.get_linestyle()) for line in drawn.axes[0].get_lines()[:count]}
    drawn.draw_without_rendering()
    labels = drawn.legends[0].get_texts()
    boxes = [label.get_window_extent(drawn.canvas.get_renderer()) for label in labels]
    assert len(labels) == count
    assert not [1 for one, other in itertools.combinations(boxes, 2) if one.overlaps(other)]
    assert len({(colour, str(dash)) for colour, dash in looks}) == len(looks)


def test_what_no_log_has_is_said_once():
    without = TrainingLog("a run", [Point(10, "train_inner", {"loss": 2.0})], [])
    (similarity,) = similarity_figures([without, without._replace(label="another")])
    (losses,) = losses_figures([without, without._replace(label="another")])
    assert (similarity.title, losses.title) == ("Similarity over training", "Loss of each language")
    assert "no log has 'cos'" in similarity.why
    assert "no log has the loss of single languages" in losses.why


def test_a_log_of_a_model_that_never_recorded_lacks_nothing():
    recorded, plain = log_of(["de", "es"]), log_of(["de", "es"], with_cosines=False)
    logs = [plain._replace(label="shared"), recorded._replace(label="differentiated")]
    assert [figure.title for figure in similarity_figures(logs)] == [
        "Similarity over training: differentiated"
    ]
    assert len(losses_figures(logs)) == 2


def test_logs_of_a_run_are_drawn_on_the_same_axes():
    log = log_of(["de", "es"])
    longer = log._replace(label="longer", points=[*log.points, Point(900, "dev", {"loss_de": 1.0})])
    one, other = (figure.draw().axes[0] for figure in losses_figures([log, longer]))
    assert one.get_xlim() == other.get_xlim()
    assert one.get_ylim() == other.get_ylim()
    assert one.get_xlim()[1] > 900
    assert one.get_ylim()[0] < 1.0
