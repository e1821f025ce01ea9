"""A figure that somebody adds: this file is all of it."""

from fairseq_gist.report.figure import Figure, Table
from fairseq_gist.report.figures.base import RESULTS, Drawing
from fairseq_gist.report.style import new_figure


def seeds_figure(seen):
    """Draw every seed's average."""
    title = f"{seen.results.title(seen.metric)} of every seed"
    rows = [
        (entry.name, number, run.scores.of(seen.metric)["average"])
        for entry in seen.results.entries
        for number, run in enumerate(entry.runs, start=1)
    ]
    table = Table(("system", "seed", "average"), rows)
    return Figure(f"seeds-{seen.metric}", title, seen.source, table, lambda: _draw(table))


def _draw(table):
    figure = new_figure(5, 3)
    figure.subplots().plot(table.column("system"), table.column("average"), "o")
    return figure


DRAWING = Drawing("seeds", RESULTS, 20, lambda seen: [seeds_figure(seen)])
