"""The report: its numbers are those of the statistics, and it is made whatever is missing."""

from __future__ import annotations

import csv
import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fairseq_gist.cli.main import main
from fairseq_gist.gradients.analysis.capacity import shared_fraction
from fairseq_gist.gradients.analysis.divergence import divergence
from fairseq_gist.gradients.analysis.factorization import factorize
from fairseq_gist.policies.conflict import conflicts
from fairseq_gist.report.chapters import Chapter
from fairseq_gist.report.figure import Figure, Table
from fairseq_gist.report.figures import figures_for
from fairseq_gist.report.figures.base import SIMILARITY, SimilaritySeen
from fairseq_gist.report.figures.history import history_figure
from fairseq_gist.report.figures.kinds import kinds_figure
from fairseq_gist.report.figures.languages import languages_figure
from fairseq_gist.report.figures.layers import layers_figure
from fairseq_gist.report.figures.pairs import pairs_figure
from fairseq_gist.report.figures.plans import plan_figure
from fairseq_gist.report.glossary import WORDS
from fairseq_gist.report.opening import Opening
from fairseq_gist.report.page import write_report
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import DIVERGING, new_figure
from fairseq_gist.report.words import answers_of_similarity
from fairseq_gist.sharing.plan import SharingPlan, Step
from tests.scripts import script
from tests.unit.made_up import LANGUAGES, gdps_plan, gradient_plan, grouped, statistics_of
from tests.unit.planted_neurons import FIRST, SECOND, planted_block

UNITS = [
    f"{stack}.layers.{layer}.{kind}"
    for stack, layers in (("encoder", 2), ("decoder", 3))
    for layer in range(layers)
    for kind in ("self_attn.q_proj", "fc1", "final_layer_norm")
] + ["decoder.layer_norm"]
FOREIGN = tuple(sorted(["العربية", "עברית", "中文", "ελληνικά", "हिन्दी", "de"]))


def planted(languages=LANGUAGES, units=UNITS, chunks=4, noise=0.05, seed=0):
    """Return statistics in which all languages share a direction and have one of their own."""
    generator = np.random.default_rng(seed)
    vectors = {
        unit: {
            language: 1.0 + generator.normal(size=40) * (1 + number / len(units))
            for language in languages
        }
        for number, unit in enumerate(units)
    }
    sizes = {unit: 16 if "norm" in unit else 1040 for unit in units}
    return statistics_of(vectors, sizes, chunks, noise, languages, shared=50_000)


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make(run, out, *options):
    assert main(["report", str(run), "-o", str(out), *options]) == 0
    return (out / "index.html").read_text(encoding="utf-8")


def write_run(folder, units=UNITS):
    folder.mkdir()
    statistics = planted(units=units)
    statistics.save(folder / "statistics.npz")
    gradient_plan(statistics, "1.05").save(folder / "plan.json")
    return folder


@pytest.fixture
def run(tmp_path):
    """A run of one unit, of which a report is made in no time."""
    return write_run(tmp_path / "run", UNITS[:1])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A run, the report that was made of it, and its page."""
    folder = tmp_path_factory.mktemp("large")
    run = write_run(folder / "run")
    return run, folder / "report", make(run, folder / "report", "--units", ".*fc1")


# -------------------------------------------------------------------------------------- the numbers
def test_every_number_is_that_of_the_statistics(large):
    figures = large[1] / "figures"
    statistics = planted()
    cosines = statistics.cosines()
    pairs = list(itertools.combinations(range(len(LANGUAGES)), 2))

    def mean(units, chosen=pairs):
        places = [UNITS.index(unit) for unit in units]
        return np.mean([cosines[place][pair] for place in places for pair in chosen])

    rows = read(figures / "layers.csv")
    assert len(rows) == 6
    for row in rows:
        start = f"{row['stack']}.layers.{row['layer']}." if row["layer"] else "decoder.layer_norm"
        units = [unit for unit in UNITS if unit.startswith(start)]
        assert int(row["units"]) == len(units)
        assert float(row["cosine"]) == pytest.approx(mean(units), abs=1e-12)
        assert float(row["low"]) < float(row["cosine"]) < float(row["high"])
    rows = read(figures / "kinds.csv")
    assert len(rows) == 15
    for row in rows:
        unit = f"{row['stack']}.layers.{row['layer']}.{row['kind']}"
        assert float(row["cosine"]) == pytest.approx(mean([unit]), abs=1e-12)
    rows = read(figures / "languages.csv")
    assert [(row["one"], row["other"]) for row in rows] == list(
        itertools.combinations(LANGUAGES, 2)
    )
    for row, pair in zip(rows, pairs):
        assert float(row["cosine"]) == pytest.approx(mean(UNITS, [pair]), abs=1e-12)
    assert rows[0]["family of one"] == "Germanic"
    for row, pair in zip(read(figures / "languages-decoder-layers-2.csv"), pairs):
        units = [unit for unit in UNITS if unit.startswith("decoder.layers.2.")]
        assert float(row["cosine"]) == pytest.approx(mean(units, [pair]), abs=1e-12)


def test_the_plans_numbers_are_the_plans(large):
    run, report, _ = large
    plan = SharingPlan.load(run / "plan.json")
    rows = read(report / "figures" / "plan.csv")
    assert len(rows) == len(UNITS) * len(LANGUAGES)
    shares = {}
    for row in rows:
        groups = plan.units[row["unit"]]
        assert row["language"] in groups[int(row["copy"])]
        assert int(row["copies"]) == len(groups)
        shares[row["unit"]] = float(row["share of the model"])
    copies = sum(len(groups) * (16 if "norm" in u else 1040) for u, groups in plan.units.items())
    assert sum(shares.values()) == pytest.approx(copies / plan.parameters)


def test_every_figure_has_the_signature_of_what_it_shows(large):
    run, _, page = large
    captions = re.findall("<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    plan = SharingPlan.load(run / "plan.json")
    assert len(captions) == 13
    for caption in captions:
        assert planted().signature in caption or plan.signature in caption


def test_the_analyses_are_those_of_every_unit(large):
    figures = large[1] / "figures"
    rows = read(figures / "divergence.csv")
    assert [row["unit"] for row in rows] == UNITS
    for row in rows:
        found = divergence(planted(), row["unit"])
        assert float(row["delta"]) == found.delta
        assert (float(row["low"]), float(row["high"])) == found.interval
        assert float(row["shared fraction, steps"]) == shared_fraction(found.delta, "steps")
    rows = read(figures / "directions.csv")
    for unit in UNITS:
        own = [row for row in rows if row["unit"] == unit]
        shares = factorize(planted(), unit).explained
        assert [float(row["share"]) for row in own] == shares.tolist()


def test_neurons_are_shown_where_they_were_recorded(large, tmp_path):
    _, report, page = large
    assert "Conflict of single neurons" not in page
    assert not (report / "figures" / "neurons.csv").exists()
    statistics = planted_block([["aa", "bb"], ["cc", "dd"]], (0, 1, 2), noise=1.0)
    statistics.save(tmp_path / "run" / "statistics.npz")
    plan = gdps_plan(statistics)
    plan.save(tmp_path / "run" / "plan.json")
    page = make(tmp_path / "run", tmp_path / "report")
    assert "Conflict of single neurons" in page
    assert "the others aa bb | cc dd; groups found" in page
    rows = read(tmp_path / "report" / "figures" / "neurons.csv")
    merged = statistics.merged({FIRST: [FIRST, SECOND]})
    each = [[language] for language in statistics.languages]
    expected, _ = conflicts(merged, FIRST, statistics.neurons[FIRST], each, "agreement")
    found = [float(row["conflict by agreement"]) for row in rows]
    assert found == pytest.approx(expected.tolist(), rel=1e-9)
    assert {row["block"] for row in rows} == {FIRST}


def test_a_pattern_adds_a_heat_map_of_its_units(large):
    _, report, page = large
    assert "Similarity of languages, units .*fc1" in page
    rows = read(report / "figures" / "languages-units-fc1.csv")
    places = [place for place, unit in enumerate(UNITS) if unit.endswith("fc1")]
    expected = planted().cosines()[places, 0, 1].mean()
    assert float(rows[0]["cosine"]) == pytest.approx(expected, abs=1e-12)


# ----------------------------------------------------------------------------------------- the page
def test_the_page_needs_nothing_but_itself(large):
    _, report, page = large
    assert "http://" not in page
    assert "https://" not in page
    for attribute, target in re.findall(r'(src|href)="([^"]*)"', page):
        assert target.startswith(("data:", "#chapter-")), (attribute, target[:60])
    assert "<script" not in page
    images = re.findall(r'<img[^>]* alt="([^"]+)"', page)
    files = sorted(path.name for path in (report / "figures").iterdir())
    assert len(images) * 3 == len(files)
    assert {name.rpartition(".")[2] for name in files} == {"csv", "png", "svg"}


def test_the_same_report_twice_is_the_same(run, tmp_path):
    first = make(run, tmp_path / "one")
    assert make(run, tmp_path / "two") == first
    assert make(run, tmp_path / "two") == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one", "run", "two"]


def test_names_are_text_not_markup(tmp_path):
    names = tuple(sorted(["<b>", "a&b", "$x$", "de", '"']))
    planted(names, UNITS[:1]).save(tmp_path / "<i>.npz")
    page = make(tmp_path / "<i>.npz", tmp_path / "report")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;" in page


# ----------------------------------------------------------------------------------- what's missing
def test_statistics_alone(run, tmp_path, capsys):
    (run / "plan.json").unlink()
    page = make(run, tmp_path / "report")
    printed = capsys.readouterr().out
    for what in ("no sharing plan was found", "no training log was found", "no scores were found"):
        assert what in page
        assert what in printed


def test_a_plan_alone(run, tmp_path):
    page = make(run / "plan.json", tmp_path / "report")
    assert "no gradient statistics were found" in page
    assert "Who shares what: plan.json" in page


@pytest.mark.parametrize(
    ("languages", "units", "chunks"),
    [
        (("de",), UNITS[:2], 4),
        (("de", "es"), UNITS[:2], 4),
        (LANGUAGES, ["decoder.layers.0.fc1"], 4),
        (LANGUAGES, ["decoder.layer_norm"], 4),
        (LANGUAGES, UNITS[:2], 1),
        (LANGUAGES, UNITS[:2], 2),
        (("xx", "yy", "zz"), UNITS[:2], 3),
    ],
)
def test_little_is_still_a_report(tmp_path, languages, units, chunks):
    planted(languages, units, chunks).save(tmp_path / "s.npz")
    page = make(tmp_path / "s.npz", tmp_path / "report")
    if len(languages) == 1:
        assert "one language alone has nothing to be similar to" in page
    if chunks < 3:
        assert "it takes three at least" in page
    if len(languages) < 4:
        assert "it takes four languages" in page or "one language alone" in page


def test_zero_gradients_are_told_and_the_rest_is_shown(tmp_path):
    units = UNITS[:3]
    vectors = {unit: grouped([["de", "nl"], ["es", "fr", "it"]]) for unit in units}
    vectors[units[0]] = {language: np.zeros(20) for language in LANGUAGES}
    vectors[units[1]] = {**vectors[units[1]], "de": np.zeros(20)}
    statistics_of(vectors, chunks=4).save(tmp_path / "s.npz")
    make(tmp_path / "s.npz", tmp_path / "report")
    rows = read(tmp_path / "report" / "figures" / "kinds.csv")
    assert rows[0]["cosine"] == ""
    assert all(row["cosine"] for row in rows[1:])
    nothing = {unit: {language: np.zeros(20) for language in LANGUAGES} for unit in units}
    statistics_of(nothing, chunks=4).save(tmp_path / "s.npz")
    page = make(tmp_path / "s.npz", tmp_path / "report")
    assert "no cosine is defined: gradients are zero, or nothing but noise" in page


# ------------------------------------------------------------------------------------- how it looks
def overlaps(texts, renderer):
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    return [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(zip(texts, boxes), 2)
        if a.shrunk(0.98, 0.9).overlaps(b.shrunk(0.98, 0.9))
    ]


@pytest.mark.parametrize("count", [2, 5, 13, 40])
def test_labels_do_not_overlap(count):
    languages = tuple(f"l{number:02d}" for number in range(count))
    statistics = planted(languages, UNITS[:4], chunks=3)
    similarity = Similarity("s", statistics)
    plan = SharingPlan.language_specific(languages, UNITS[:4])
    for figure in (
        layers_figure(similarity),
        kinds_figure(similarity),
        languages_figure(similarity),
        plan_figure("plan", plan),
        pairs_figure(similarity, plan),
    ):
        drawn = figure.draw()
        drawn.draw_without_rendering()
        renderer = drawn.canvas.get_renderer()
        for panel in drawn.axes:
            for ticks in (panel.get_xticklabels(), panel.get_yticklabels()):
                visible = [tick for tick in ticks if tick.get_visible()]
                found = overlaps(visible, renderer)
                assert not found, (figure.name, [(a.get_text(), b.get_text()) for a, b in found])


def colours_of(figure):
    """Return the limits of a heat map's colours."""
    (limits,) = {
        mesh.get_clim() for panel in figure.draw().axes[:-1] for mesh in panel.collections
        if mesh.get_cmap().name == DIVERGING
    }  # fmt: skip
    return limits


def test_one_value_far_from_the_others_does_not_set_the_colours():
    generator = np.random.default_rng(1)
    vectors = {
        unit: {language: generator.normal(size=40) for language in LANGUAGES} for unit in UNITS
    }
    even = kinds_figure(Similarity("s", statistics_of(vectors)))
    assert "beyond" not in even.caption
    assert colours_of(even)[1] == max(map(abs, even.table.column("cosine")))
    vectors[UNITS[3]] = {language: own + 4 for language, own in vectors[UNITS[3]].items()}
    figure = kinds_figure(Similarity("s", statistics_of(vectors)))
    assert "1 value lies beyond" in figure.caption
    values = sorted(map(abs, figure.table.column("cosine")))
    low, high = colours_of(figure)
    assert -low == high == values[-2]
    assert values[-1] > 0.8


def test_maps_of_layers_have_one_scale():
    details = figures_for(SIMILARITY, SimilaritySeen(Similarity("s", planted()), ()))
    maps = [figure for figure in details if figure.name.startswith("languages-")]
    assert len(maps) == 5
    assert len({colours_of(figure) for figure in maps}) == 1


def test_names_of_every_script_are_shown(tmp_path):
    planted(FOREIGN, UNITS[:1]).save(tmp_path / "s.npz")
    make(tmp_path / "s.npz", tmp_path / "report")
    svg = (tmp_path / "report" / "figures" / "languages.svg").read_text(encoding="utf-8")
    for name in FOREIGN:
        assert f">{name}</text>" in svg, "the browser sets it, with its fonts, in its direction"


# -------------------------------------------------------------------------------------------- plans
def test_how_a_plan_came_about():
    first = {"fc1": [["de", "es"], ["nl"]], "fc2": [["de", "es", "nl"]]}
    plan = SharingPlan(
        ["de", "es", "nl"],
        {"fc1": [["de"], ["es"], ["nl"]], "fc2": [["de", "es", "nl"]]},
        update=20,
        history=[Step(10, SharingPlan(["de", "es", "nl"], first))],
    )
    figure = history_figure("a run", plan)
    assert figure.table.rows == [
        (10, "fc1", 2, "de es | nl", True),
        (10, "fc2", 1, "shared", False),
        (20, "fc1", 3, "each its own", True),
        (20, "fc2", 1, "shared", False),
    ]
    figure.draw()
    assert history_figure("a run", SharingPlan(plan.languages, plan.units, {"update": 9})) is None
    assert history_figure("by hand", SharingPlan(plan.languages, plan.units)) is None


# ------------------------------------------------------------------------------------------- errors
def fails(capsys, *argv):
    assert main(["report", *map(str, argv)]) == 1
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def test_equal_statistics_are_shown_once(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert main(["report", str(run), str(other), "-o", str(tmp_path / "both")]) == 0
    page = (tmp_path / "both" / "index.html").read_text(encoding="utf-8")
    assert "In run: statistics.npz, other: statistics.npz: equal." in page
    assert page.count("Similarity of gradients</h2>") == 1
    make(run, tmp_path / "one")
    one, both = (
        {path.name for path in (tmp_path / folder / "figures").glob("layers*.csv")}
        for folder in ("one", "both")
    )
    assert len(one) == len(both) == 1


def test_words_are_explained_once_where_they_first_appear(large):
    text = re.sub('src="[^"]*"', "", large[2])
    text = text[text.index("<body>") :]
    for word in WORDS:
        explained = f"<dt>{word.name}</dt><dd>"
        if word.name in ("BLEU, chrF", "p"):
            continue
        assert text.count(explained) == 1, word.name
        first = re.search(word.pattern, re.sub("<[^>]*>", lambda tag: " " * len(tag[0]), text))
        between = text[first.start() : text.index(explained)]
        assert between.count("<figure") <= 1, f"{word.name} is explained where it appears"
        assert between.count("<h2") == 0
    assert "<dt>BLEU, chrF</dt>" not in text, "what the page doesn't speak of needs no explanation"


def test_more_is_said_of_every_word_in_the_documentation(repo_root):
    spoken_of = {"p": "**p** is", "BLEU, chrF": "BLEU"}
    for word in WORDS:
        text = (repo_root / word.page).read_text(encoding="utf-8")
        assert spoken_of.get(word.name, word.name) in text, word


def test_what_is_wrong_is_said_and_nothing_written(run, tmp_path, capsys):
    out = tmp_path / "report"
    assert "there is no folder or file" in fails(capsys, tmp_path / "none", "-o", out)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has nothing to report on" in fails(capsys, empty, "-o", out)
    assert "is no regular expression" in fails(capsys, run, "-o", out, "--units", "(")
    assert "the run" in fails(capsys, run, "-o", run)
    assert "the run" in fails(capsys, run, "-o", tmp_path)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert "that is a file" in fails(capsys, run, "-o", tmp_path / "file")
    assert "found something else" in fails(capsys, tmp_path / "file", "-o", out)
    (tmp_path / "empty.log").write_text("x", encoding="utf-8")
    assert "expected a training log" in fails(capsys, tmp_path / "empty.log", "-o", out)
    (tmp_path / "no.pt").write_text("x", encoding="utf-8")
    assert "is no checkpoint" in fails(capsys, tmp_path / "no.pt", "-o", out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("x", encoding="utf-8")
    assert "holds something else than a report" in fails(capsys, run, "-o", other)
    assert (other / "thesis.tex").exists()
    assert not out.exists()
    assert "is a file, not a folder" in fails(capsys, run, "-o", tmp_path / "file" / "report")


def test_what_lies_beside_an_earlier_report_is_not_lost(run, tmp_path, capsys):
    out = tmp_path / "report"
    before = make(run, out)
    for name in ("notes.txt", "figures/layers.pdf"):
        (out / name).write_text("mine", encoding="utf-8")
        assert f"the folder holds {name}, which would be lost" in fails(capsys, run, "-o", out)
        assert (out / name).read_text(encoding="utf-8") == "mine"
        (out / name).unlink()
    assert make(run, out) == before


def test_a_folder_that_one_is_in_is_not_replaced(run, tmp_path, capsys, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert "would be replaced while you are in it" in fails(capsys, run, "-o", ".")
    assert here.samefile(".")


def test_an_earlier_report_comes_back_where_no_new_one_can_be(run, tmp_path, monkeypatch):
    out = tmp_path / "report"
    before = make(run, out)
    rename = Path.rename

    def full(path, target):
        if path.name == "new":
            raise OSError("no space")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    assert main(["report", str(run), "-o", str(out)]) == 1
    assert (out / "index.html").read_text(encoding="utf-8") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report", "run"]


def test_a_link_stays_a_link(run, tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link"
    link.symlink_to("disk")
    assert make(run, link) == make(run, link)
    assert link.is_symlink()
    assert (tmp_path / "disk" / "index.html").is_file()


def test_a_damaged_file_is_told_and_the_rest_is_shown(run, tmp_path):
    (run / "broken.npz").write_bytes(b"PK nothing")
    (run / "broken.json").write_text("{", encoding="utf-8")
    (run / "settings.json").write_text('{"other": 1}', encoding="utf-8")
    page = make(run, tmp_path / "report")
    assert "Not read: cannot read gradient statistics" in page
    assert "broken.json: expected a plan or a scores file, found no JSON" in page
    assert "settings.json" not in page


def test_interrupted_it_leaves_the_earlier_report(run, tmp_path, monkeypatch):
    out = tmp_path / "report"
    before = make(run, out)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fairseq_gist.report.page._render", interrupt)
    assert main(["report", str(run), "-o", str(out)]) == 130
    assert (out / "index.html").read_text(encoding="utf-8") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report", "run"]


def test_a_pattern_may_match_nothing_or_be_long(run, tmp_path):
    long = "|".join([f"({re.escape(unit)})" for unit in UNITS] * 9)
    page = make(run, tmp_path / "report", "--units", "fc1", long)
    assert f"units fc1: none of the {len(UNITS[:1])} units recorded matches as a whole" in page
    pictures = sorted((tmp_path / "report" / "figures").glob("languages-units-*.png"))
    assert len(pictures) == 1


# -------------------------------------------------------------------------------------- the words
def test_the_words_tell_the_structure_that_was_planted():
    planted_run = script("docs/planted_run.py")
    answers = answers_of_similarity(Similarity("planted", planted_run.planted()))
    layers, languages, families, conflicts = (answer.text for answer in answers)
    assert "Decoder layer 0 agrees least" in layers
    assert "decoder layer 5 most" in layers
    assert "is more than chance" in layers
    assert "It rises with depth in the decoder" in layers
    pairs = re.findall(r"(\w\w)-(\w\w) ", languages)
    family = planted_run.FAMILY_OF
    assert [family[one] == family[other] for one, other in pairs] == [True] * 3 + [False] * 3
    assert families.startswith("Yes, to some degree")
    named = re.findall(r"(\w\w)-(\w\w) on ([\w.]*\w)", conflicts)
    assert [unit for *_, unit in named] == [planted_run.CONFLICT] * 3
    assert all(planted_run.AGAINST in (family[one], family[other]) for one, other, _ in named)


def test_the_words_see_nothing_where_nothing_is():
    generator = np.random.default_rng(3)
    vectors = {
        unit: {language: generator.normal(size=200) for language in LANGUAGES} for unit in UNITS
    }
    answers = answers_of_similarity(Similarity("noise", statistics_of(vectors, None, 6, 1.0)))
    layers, _, families, _ = (answer.text for answer in answers)
    assert "could be chance" in layers
    assert families.startswith("Not that one could tell")


def test_no_figure_is_written_over_another_whose_name_it_would_get(tmp_path):
    def figure(name, number):
        return Figure(name, "", "", Table(("n",), [(number,)]), lambda: new_figure(1, 1))

    names = ["size", "size", "size-2", "size"]
    figures = [figure(name, number) for number, name in enumerate(names)]
    chapters = [Chapter("One", [], figures[:2], []), Chapter("Two", [], figures[2:], [])]
    write_report(tmp_path / "report", "title", Opening([], None), chapters, [])
    found = [read(path)[0]["n"] for path in (tmp_path / "report" / "figures").glob("*.csv")]
    assert sorted(found) == ["0", "1", "2", "3"]
    assert read(tmp_path / "report" / "figures" / "size-2.csv") == [{"n": "2"}]
