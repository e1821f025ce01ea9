"""The results as Markdown, CSV and LaTeX."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from typing import Any, Iterator, List

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.grid import Grid, comparison_grid, metric_grid
from fairseq_gist.evaluation.results import Entry, Results
from fairseq_gist.evaluation.scores import AVERAGE
from fairseq_gist.files import replacing
from fairseq_gist.files.tables import csv_of

__all__ = [
    "as_csv",
    "as_latex",
    "as_markdown",
    "metric_tables",
    "signatures",
    "table_paths",
    "write_tables",
]

_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "±": r"$\pm$",
    # The standard font encoding has other signs in the place of these.
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    # After the end of a line these two would be read as its options.
    "[": "{[}",
    "*": "{*}",
    **{sign: "\\" + sign for sign in "&%$#_{}"},
}


def table_paths(prefix: str) -> List[Path]:
    """Return PREFIX.md, PREFIX.csv and PREFIX.tex.

    Raises:
        OptionError: when the prefix is the name of a directory.
    """
    if not prefix or prefix.endswith("/") or Path(prefix).is_dir():
        raise OptionError(f"--table: expected the beginning of file names, found '{prefix}'")
    return [Path(prefix + ending) for ending in (".md", ".csv", ".tex")]


def write_tables(prefix: str, results: Results) -> None:
    """Write the results in all three layouts."""
    texts = [as_markdown(results), as_csv(results), as_latex(results)]
    for path, text in zip(table_paths(prefix), texts):
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def metric_tables(results: Results) -> str:
    """Return a Markdown table a metric."""
    return "\n\n".join(_markdown(metric_grid(results, one)) for one in results.metrics.values())


def as_markdown(results: Results) -> str:
    """Return the tables and, below, the comparisons and how the numbers came about."""
    parts = [metric_tables(results)]
    if results.comparisons:
        parts.append(_markdown(comparison_grid(results)))
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in _notes(results))]) + "\n"


def as_csv(results: Results) -> str:
    """Return one row a number, in full precision."""
    rows = [["system", "against", "seed", "metric", "language", "quantity", "value"]]
    for entry in results.entries:
        rows += _entry_rows(results, entry)
    for comparison in results.comparisons:
        for metric, difference in comparison.differences.items():
            about = [comparison.system, comparison.against, "", results.title(metric), AVERAGE]
            for quantity, value in zip(("difference", "p", "low", "high"), difference):
                rows.append([*about, quantity, repr(value)])
    return csv_of(rows)


def as_latex(results: Results) -> str:
    """Return a tabular a metric, to be used with the package booktabs."""
    lines = ["% Needs \\usepackage{booktabs}."]
    lines += [f"% {note}" for note in _notes(results)]
    for metric in results.metrics.values():
        lines += ["", _latex(metric_grid(results, metric))]
    return "\n".join(lines) + "\n"


def _markdown(grid: Grid) -> str:
    rows = [list(map(_markdown_cell, row)) for row in [grid.header, *grid.rows]]
    for row, column in grid.bold:
        rows[row + 1][column] = f"**{rows[row + 1][column]}**"
    widths = [max(map(len, column)) for column in zip(*rows)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in [rows[0], rule, *rows[1:]]
    )


def _markdown_cell(text: str) -> str:
    return re.sub(r"[\\|*`]|<(?! )", r"\\\g<0>", text)


def _latex(grid: Grid) -> str:
    rows = [["".join(_LATEX.get(sign, sign) for sign in cell) for cell in row] for row in grid.rows]
    for row, column in grid.bold:
        rows[row][column] = f"\\textbf{{{rows[row][column]}}}"
    header = ["".join(_LATEX.get(sign, sign) for sign in cell) for cell in grid.header]
    lines = [" & ".join(row) + r" \\" for row in [header, *rows]]
    return "\n".join(
        [
            f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _entry_rows(results: Results, entry: Entry) -> Iterator[List[Any]]:
    """Give the rows of a system: sizes, the scores of every seed, and their means."""
    for seed, run in enumerate(entry.runs, start=1):
        if run.parameters is not None:
            yield [entry.name, "", seed, "", "", "parameters", run.parameters]
    times = results.times(entry, results.baseline)
    if times is not None:
        yield [entry.name, results.baseline, "", "", "", "times", repr(times)]
    for metric, title in ((name, one.title) for name, one in results.metrics.items()):
        columns = list(entry.runs[0].scores.of(metric))
        for seed, run in enumerate(entry.runs, start=1):
            for column in columns:
                score = run.scores.of(metric)[column]
                yield [entry.name, "", seed, title, column, "score", repr(score)]
        for column in columns:
            scores = [run.scores.of(metric)[column] for run in entry.runs]
            mean = repr(statistics.mean(scores))
            yield [entry.name, "", "", title, column, "mean", mean]
            if len(scores) > 1:
                deviation = repr(statistics.stdev(scores))
                yield [entry.name, "", "", title, column, "deviation", deviation]


def signatures(results: Results) -> str:
    """Return every metric's title and signature, the same for all systems."""
    scores = results.entries[0].runs[0].scores
    return "; ".join(
        f"{metric.title} {scores.by_metric[name].signature}"
        for name, metric in results.metrics.items()
    )


def _notes(results: Results) -> List[str]:
    """Say how the numbers came about."""
    run = results.entries[0].runs[0]
    counts = [f"{language} {own.count:,}" for language, own in run.scores.sentences.items()]
    titles = [metric.title for metric in results.metrics.values()]
    notes = [
        f"Signatures: {signatures(results)}.",
        f"Sentences of {run.subset}: {run.sentence_count:,} ({', '.join(counts)}). The average is "
        "the plain mean over the languages.",
    ]
    lower = [one.title for one in results.metrics.values() if not one.higher_is_better]
    if lower:
        notes.append(f"Lower is better in {', '.join(lower)}.")
    if any(len(entry.runs) > 1 for entry in results.entries):
        notes.append(
            "With several seeds: means over the seeds, ± the standard deviation (n - 1) of their "
            "averages."
        )
    if results.comparisons:
        notes.append(
            "p: two-sided paired bootstrap (Koehn 2004) of the difference of the averages; "
            f"{results.resamples:,} resamples of the sentences within each language, the same for "
            f"all systems, seed {results.seed}. A system's seeds are taken as given: how much "
            "another seed would change is what ± tells, not p."
        )
        count = len(results.comparisons)
        notes.append(
            f"{count} {'pair' if count == 1 else 'pairs'} of systems compared by "
            f"{' and by '.join(titles)}; the {len(titles) * count} p-values are not corrected for "
            "their number."
        )
    return notes
