"""Scores by language and system, and quality against size."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Tuple, Union

import numpy as np

from fairseq_gist.evaluation.results import Results
from fairseq_gist.evaluation.scores import AVERAGE
from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import RESULTS, Drawing
from fairseq_gist.report.figures.labels import place_labels
from fairseq_gist.report.style import PALETTE, new_figure

__all__ = ["DRAWING", "languages_results_figure", "size_figure"]

_SERIES = re.compile(r"^(?P<name>.+?)[-_ ]?(?P<size>\d+(?:\.\d+)?)[xXM]?$")
"""``random-2.5`` belongs to the curve ``random``."""


def languages_results_figure(results: Results, metric: str, source: str) -> Figure:
    """Draw a panel a language, and one for the average: every system's score and interval.

    Args:
        results: with intervals.
        metric: the name of one of the results' metrics.
        source: the signature of the scores.
    """
    title = f"{results.title(metric)} by language and system"
    rows: List[Tuple[Any, ...]] = []
    for column in [AVERAGE, *results.languages]:
        for entry in results.entries:
            low, high = results.interval(entry.name, metric, column)
            rows.append((column, entry.name, entry.mean(metric, column), low, high))
    table = Table(("language", "system", results.title(metric), "low", "high"), rows)
    caption = (
        "Bars: 95 % intervals, from sentences drawn anew with replacement. Systems are compared on "
        "the same sentences, so two can differ for sure although their intervals overlap: the "
        f"p-values in the words above tell. Every panel is as many points wide. {source}"
    )
    return Figure(f"results-{metric}", title, caption, table, lambda: _draw_languages(table))


def size_figure(results: Results, metric: str, source: str) -> Union[Figure, Missing]:
    """Draw the average score against the number of parameters, the paper's trade-off curve."""
    title = f"{results.title(metric)} against size"
    known = [entry for entry in results.entries if entry.parameters]
    if not known:
        return Missing(
            title, "no system's size is known; score with --checkpoint or --parameters NAME=N"
        )
    rows: List[Tuple[Any, ...]] = []
    for entry in known:
        low, high = results.interval(entry.name, metric)
        deviation = entry.deviation(metric)
        size = entry.parameters
        rows.append((entry.name, len(entry.runs), size, entry.mean(metric), low, high, deviation))
    header = ("system", "seeds", "parameters", results.title(metric), "low", "high")
    table = Table((*header, "deviation of seeds"), rows)
    caption = (
        "Average over the languages. Bars: 95 % intervals over sentences; they don't tell how much "
        "another seed would change. Lines join systems that differ in size only, by their names. "
        f"{source}"
    )
    return Figure(f"size-{metric}", title, caption, table, lambda: _draw_size(table))


DRAWING = Drawing(
    "results",
    RESULTS,
    10,
    lambda seen: [
        figure(seen.results, seen.metric, seen.source)
        for figure in (languages_results_figure, size_figure)
    ],
)


def _draw_languages(table: Table) -> Any:
    columns = list(dict.fromkeys(table.column("language")))
    systems = list(dict.fromkeys(table.column("system")))
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    longest = max(map(len, systems))
    figure = new_figure(
        0.07 * longest + 2.1 * across + 0.5, down * (0.75 + 0.15 * len(systems)) + 0.2
    )
    panels = figure.subplots(down, across, squeeze=False, sharey=True)
    places = np.arange(len(systems))
    colours = [
        PALETTE[place % len(PALETTE)] if len(systems) <= 8 else PALETTE[0] for place in places
    ]
    values = {
        column: np.array([row[2:] for row in table.rows if row[0] == column], dtype=float)
        for column in columns
    }
    reach = 0.55 * max(np.nanmax(rows) - np.nanmin(rows) for rows in values.values()) or 0.5
    for panel, (column, rows) in zip(panels.flat, values.items()):
        errors = np.abs(rows[:, 1:].T - rows[:, 0])
        panel.errorbar(rows[:, 0], places, xerr=errors, fmt="none", ecolor="#999999", lw=1)
        panel.scatter(rows[:, 0], places, c=colours, s=18, zorder=3)
        panel.axvline(rows[0, 0], color="grey", lw=0.6, ls=":")
        middle = (np.nanmin(rows) + np.nanmax(rows)) / 2
        panel.set_xlim(middle - reach, middle + reach)
        panel.set_title(column, fontweight="bold" if column == AVERAGE else None)
        panel.set_yticks(places, systems, size=7)
        panel.tick_params(axis="x", labelsize=7)
        panel.set_ylim(len(systems) - 0.5, -0.5)
    for panel in panels.flat[len(columns) :]:
        panel.set_visible(False)
    figure.supxlabel(table.header[2], fontsize=9)
    return figure


def _draw_size(table: Table) -> Any:
    figure = new_figure(7.2, 5.0)
    panel = figure.subplots()
    sizes = np.array(table.column("parameters"), dtype=float) / 1e6
    values = np.array([row[3:6] for row in table.rows], dtype=float)
    errors = np.abs(values[:, 1:].T - values[:, 0])
    panel.errorbar(sizes, values[:, 0], yerr=errors, fmt="none", ecolor="#CCCCCC", lw=1, zorder=1)
    curves = _curves(table.column("system"))
    colour_of = {}
    for number, (name, places) in enumerate(curves.items()):
        colour = PALETTE[number % (len(PALETTE) - 1)]
        by_size = sorted(places, key=lambda place: sizes[place])
        panel.plot(sizes[by_size], values[by_size, 0], color=colour, lw=1.3, label=name, zorder=2)
        colour_of.update(dict.fromkeys(places, colour))
    colours = [colour_of.get(place, "#000000") for place in range(len(sizes))]
    panel.scatter(sizes, values[:, 0], c=colours, s=20, zorder=3)
    panel.set_xlabel("million parameters")
    panel.set_ylabel(f"{table.header[3]}, average over languages")
    panel.margins(0.12)
    if curves:
        panel.legend(frameon=False, loc="lower right")
    points = list(zip(sizes.tolist(), values[:, 0].tolist()))
    place_labels(figure, panel, points, table.column("system"))
    return figure


def _curves(systems: List[str]) -> Dict[str, List[int]]:
    """Return name -> places of systems that differ in the number at the end of their names."""
    curves: Dict[str, List[int]] = {}
    for place, system in enumerate(systems):
        match = _SERIES.match(system)
        if match:
            curves.setdefault(match.group("name"), []).append(place)
    return {name: places for name, places in curves.items() if len(places) > 1}
