"""The pages of results say what docs/results/*.csv hold."""

import csv
import re
import runpy
from collections import defaultdict
from statistics import mean

import pytest

METRICS = ("BLEU", "chrF", "chrF++")
PARTS = (
    ("results", "Every system, one seed", "table1"),
    ("results", "Three seeds", "table1-seeds"),
    ("results-low-resource", "Every system, one seed", "low-resource"),
    ("results-low-resource", "Three seeds", "low-resource-seeds"),
    ("results-low-resource", "Smaller chunks", "low-resource-20-chunks"),
)
"""Page, heading on it, file with its numbers."""


def _kept(path):
    """Give (metric, system) -> average over languages, then seeds, from the languages' scores."""
    scores = defaultdict(list)
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["quantity"] == "score" and row["language"] not in ("", "average"):
                scores[row["metric"], row["system"], row["seed"]].append(float(row["value"]))
    averages = defaultdict(list)
    for (metric, system, _), values in scores.items():
        averages[metric, system].append(mean(values))
    return {key: mean(values) for key, values in averages.items()}


def _shown(part):
    """Give the same from the table of each metric in a part of the page."""
    shown, metric, column = {}, None, None
    for line in part.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[0] in METRICS and "average" in cells:
            metric, column = cells[0], cells.index("average")
        elif not line.startswith("|"):
            metric = None
        elif metric and not set(cells[0]) <= set("-: "):
            shown[metric, cells[0]] = re.match(r"[\d.]+", cells[column]).group()
    return shown


@pytest.mark.parametrize(("page", "heading", "numbers"), PARTS)
def test_the_page_shows_the_scores_that_are_kept(repo_root, page, heading, numbers):
    text = (repo_root / f"docs/{page}.md").read_text(encoding="utf-8")
    part = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    kept = _kept(repo_root / f"docs/results/{numbers}.csv")
    assert len({system for _, system in kept}) >= 4
    assert _shown(part) == {key: f"{value:.2f}" for key, value in kept.items()}


@pytest.mark.parametrize("page", ["results-evidence", "results-people"])
def test_a_page_shows_the_runs_that_are_kept(repo_root, page):
    tables = runpy.run_path(str(repo_root / "docs" / "results_tables.py"))["written"]
    text = (repo_root / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert text.count("| system | chosen |") == text.count("<!-- runs:") >= 1
    assert tables(text) == text, f"write it again: python docs/results_tables.py docs/{page}.md"
