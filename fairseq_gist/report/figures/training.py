"""Similarity and losses over a training run, with the moments of differentiation."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import TRAINING, Drawing
from fairseq_gist.report.style import DASHES, PALETTE, new_figure
from fairseq_gist.report.training_log import TrainingLog

__all__ = ["DRAWING", "losses_figures", "similarity_figures"]


Series = Dict[str, List[Tuple[int, float]]]
Made = List[Union[Figure, Missing]]

_NO_COSINES = "no log has 'cos': nothing was recorded while they were written"
_NO_LOSSES = (
    "no log has the loss of single languages; --criterion gist_label_smoothed_cross_entropy logs it"
)


class _Reach(NamedTuple):
    """Axes that the figures of several logs have in common."""

    updates: Tuple[float, float]
    values: Tuple[float, float]


def similarity_figures(logs: Sequence[TrainingLog]) -> Made:
    """Draw the logged mean cosine over updates, and that of language pairs behind it.

    A log without any is passed over: nothing was to be recorded while it was written. What is
    missing is said where none has any.
    """
    tables = {log.label: table for log in logs for table in [_cosines(log)] if table.rows}
    if not tables:
        return [Missing("Similarity over training", _NO_COSINES)]
    zero = [0.0]
    reach = _Reach(_updates(tables.values()), _around([zero, *map(_values, tables.values())]))
    return [
        Figure(
            "training-similarity",
            f"Similarity over training: {log.label}",
            "Mean cosine of the languages' gradients as last measured, over units and pairs; thin: "
            f"single pairs, logged once an epoch. {_moments(log)}",
            tables[log.label],
            partial(_draw_similarity, tables[log.label], log.moments, reach),
        )
        for log in logs
        if log.label in tables
    ]


def losses_figures(logs: Sequence[TrainingLog]) -> Made:
    """Draw every language's loss in training and in validation, for every log that has it."""
    tables = {log.label: table for log in logs for table in [_losses(log)] if table.rows}
    if not tables:
        return [Missing("Loss of each language", _NO_LOSSES)]
    reach = _Reach(_updates(tables.values()), _around(map(_after_the_start, tables.values())))
    shared = ". All logs of the run are drawn on the same axes" if len(tables) > 1 else ""
    return [
        Figure(
            "training-losses",
            f"Loss of each language: {log.label}",
            f"Loss per target token, label smoothing included. {_moments(log)}{shared}",
            tables[log.label],
            partial(_draw_losses, tables[log.label], log.moments, reach),
        )
        for log in logs
        if log.label in tables
    ]


DRAWING = Drawing(
    "training",
    TRAINING,
    10,
    lambda seen: [*similarity_figures(seen.logs), *losses_figures(seen.logs)],
)


def _cosines(log: TrainingLog) -> Table:
    mean = log.series("train_inner", "cos") or log.series("train", "cos")
    rows: List[Tuple[Any, ...]] = [("mean", update, value) for update, value in mean]
    for name in log.names("train", "cos_") if mean else ():
        pair = name[len("cos_") :].replace("_", "-")
        rows += [(pair, update, value) for update, value in log.series("train", name)]
    return Table(("pair", "update", "cosine"), rows)


def _losses(log: TrainingLog) -> Table:
    rows: List[Tuple[Any, ...]] = []
    for language, points in _by_language(log, ["train_inner"]).items():
        rows += [("training", language, update, value) for update, value in points]
    for language, points in _by_language(log, log.validation_subsets).items():
        rows += [("validation", language, update, value) for update, value in points]
    return Table(("data", "language", "update", "loss"), rows)


def _updates(tables: Iterable[Table]) -> Tuple[float, float]:
    updates = [update for table in tables for update in table.column("update")]
    return _around([updates])


def _values(table: Table) -> List[float]:
    return [row[-1] for row in table.rows]


def _after_the_start(table: Table) -> List[float]:
    """Leave out the steep beginning, a seventh of the updates, where all curves are one."""
    updates = table.column("update")
    start = min(updates) + (max(updates) - min(updates)) / 7
    return [row[-1] for row in table.rows if row[2] >= start]


def _around(lists: Iterable[Sequence[float]]) -> Tuple[float, float]:
    """Return the lowest and the highest value of all, with a margin."""
    values = [value for one in lists for value in one]
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _by_language(log: TrainingLog, subsets: Sequence[str]) -> Series:
    """Return language -> (update, loss); of several subsets with one language the first."""
    found: Series = {}
    for subset in subsets:
        for name in log.names(subset, "loss_"):
            if name != "loss_average":
                found.setdefault(name[len("loss_") :], log.series(subset, name))
    return found


def _moments(log: TrainingLog) -> str:
    if not log.moments:
        return "There is no differentiation in this log"
    listed = ", ".join(f"{moment:,}" for moment in log.moments)
    return f"Dashed: differentiated after update {listed}"


def _draw_similarity(table: Table, moments: Sequence[int], reach: _Reach) -> Any:
    figure = new_figure(6.4, 3.0)
    panel = figure.subplots()
    for pair in dict.fromkeys(table.column("pair")):
        points = np.array([row[1:] for row in table.rows if row[0] == pair])
        is_mean = pair == "mean"
        panel.plot(
            points[:, 0],
            points[:, 1],
            color=PALETTE[0] if is_mean else "#BBBBBB",
            lw=1.8 if is_mean else 0.7,
            marker="o",
            ms=3.5 if is_mean else 2,
            zorder=2 if is_mean else 1,
        )
    panel.axhline(0, color="grey", lw=0.8)
    panel.set_ylabel("mean cosine")
    panel.set_ylim(reach.values)
    _finish(panel, moments, reach)
    return figure


def _draw_losses(table: Table, moments: Sequence[int], reach: _Reach) -> Any:
    kinds = list(dict.fromkeys(table.column("data")))
    languages = list(dict.fromkeys(table.column("language")))
    legend_rows = -(-len(languages) // 8)
    figure = new_figure(1.0 + 4.2 * len(kinds), 3.0 + 0.2 * legend_rows)
    panels = figure.subplots(1, len(kinds), squeeze=False, sharey=True)[0]
    lines: Dict[str, Any] = {}
    for panel, kind in zip(panels, kinds):
        for number, language in enumerate(languages):
            points = np.array([row[2:] for row in table.rows if row[:2] == (kind, language)])
            if len(points) == 0:
                continue
            (lines[language],) = panel.plot(
                points[:, 0],
                points[:, 1],
                color=PALETTE[number % len(PALETTE)],
                linestyle=DASHES[number // len(PALETTE) % len(DASHES)],
                lw=1.2,
                marker="o" if len(points) < 30 else None,
                ms=2.5,
            )
        panel.set_title(kind)
        _finish(panel, moments, reach)
    panels[0].set_ylabel("loss")
    panels[0].set_ylim(reach.values)
    figure.legend(
        lines.values(), lines, loc="outside lower center", ncols=8, frameon=False, fontsize=8
    )
    return figure


def _finish(panel: Any, moments: Sequence[int], reach: _Reach) -> None:
    from matplotlib.ticker import StrMethodFormatter

    for moment in moments:
        panel.axvline(moment, color="#D55E00", ls="--", lw=1)
    panel.set_xlim(reach.updates)
    panel.set_xlabel("update")
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
