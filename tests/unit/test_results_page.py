"""docs/results.md says what docs/results/*.csv hold."""

import csv
import re
from collections import defaultdict
from statistics import mean

import pytest

METRICS = ("BLEU", "chrF")
PARTS = {"Every system, one seed": "table1.csv", "Three seeds": "table1-seeds.csv"}
"""Heading on the page -> file with its numbers."""


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


@pytest.mark.parametrize("heading", PARTS)
def test_the_page_shows_the_scores_that_are_kept(repo_root, heading):
    page = (repo_root / "docs/results.md").read_text(encoding="utf-8")
    part = page.split(f"## {heading}\n")[1].split("\n## ")[0]
    kept = _kept(repo_root / "docs/results" / PARTS[heading])
    assert {system for _, system in kept} >= {"shared", "joint"}
    assert _shown(part) == {key: f"{value:.2f}" for key, value in kept.items()}
