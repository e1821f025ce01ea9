"""docs/results.md says what docs/results/table1.csv holds."""

import csv
import re
from collections import defaultdict
from statistics import mean

METRICS = ("BLEU", "chrF")


def _kept(repo_root):
    """Give (metric, system) -> average over languages, then seeds, from the languages' scores."""
    scores = defaultdict(list)
    with open(repo_root / "docs/results/table1.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["quantity"] == "score" and row["language"] not in ("", "average"):
                scores[row["metric"], row["system"], row["seed"]].append(float(row["value"]))
    averages = defaultdict(list)
    for (metric, system, _), values in scores.items():
        averages[metric, system].append(mean(values))
    return {key: mean(values) for key, values in averages.items()}


def _shown(repo_root):
    """Give the same from the first table of each metric on the page."""
    page = (repo_root / "docs/results.md").read_text(encoding="utf-8")
    shown, metric, column = {}, None, None
    for line in page.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[0] in METRICS and "average" in cells:
            metric, column = cells[0], cells.index("average")
        elif not line.startswith("|"):
            metric = None
        elif metric and not set(cells[0]) <= set("-: "):
            shown[metric, cells[0]] = re.match(r"[\d.]+", cells[column]).group()
    return shown


def test_the_page_shows_the_scores_that_are_kept(repo_root):
    kept = _kept(repo_root)
    assert {system for _, system in kept} >= {"shared", "joint"}
    assert _shown(repo_root) == {key: f"{value:.2f}" for key, value in kept.items()}
