"""Similarity and losses over a training run, with the moments of differentiation."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import TRAINING, Drawing
from fairseq_gist.report.style import DASHES, PALETTE, new_figure
from fairseq_gist.report.training_log import TrainingLog

__all__ = ["DRAWING", "losses_figure", "similarity_figure"]


Series = Dict[str, List[Tuple[int, float]]]


def similarity_figure(log: TrainingLog) -> Union[Figure, Missing]:
    """Draw the logged mean cosine over updates, and that of language pairs behind it."""
    title = f"Similarity over training: {log.label}"
    mean = log.series("train_inner", "cos") or log.series("train", "cos")
    if not mean:
        return Missing(title, "the log has no 'cos': nothing was recorded while it was written")
    rows: List[Tuple[Any, ...]] = [("mean", update, value) for update, value in mean]
    for name in log.names("train", "cos_"):
        pair = name[len("cos_") :].replace("_", "-")
        rows += [(pair, update, value) for update, value in log.series("train", name)]
    table = Table(("pair", "update", "cosine"), rows)
    caption = (
        "Mean cosine of the languages' gradients as last measured, over units and pairs; thin: "
        f"single pairs, logged once an epoch. {_moments(log)}"
    )
    moments = list(log.moments)
    return Figure(
        "training-similarity", title, caption, table, lambda: _draw_similarity(table, moments)
    )


def losses_figure(log: TrainingLog) -> Union[Figure, Missing]:
    """Draw every language's loss in training and in validation."""
    title = f"Loss of each language: {log.label}"
    rows: List[Tuple[Any, ...]] = []
    for language, points in _by_language(log, ["train_inner"]).items():
        rows += [("training", language, update, value) for update, value in points]
    for language, points in _by_language(log, log.validation_subsets).items():
        rows += [("validation", language, update, value) for update, value in points]
    if not rows:
        return Missing(
            title,
            "the log has no loss of single languages; --criterion "
            "gist_label_smoothed_cross_entropy logs it",
        )
    table = Table(("data", "language", "update", "loss"), rows)
    caption = f"Loss per target token, label smoothing included. {_moments(log)}"
    moments = list(log.moments)
    return Figure("training-losses", title, caption, table, lambda: _draw_losses(table, moments))


DRAWING = Drawing(
    "training", TRAINING, 10, lambda seen: [similarity_figure(seen), losses_figure(seen)]
)


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


def _draw_similarity(table: Table, moments: Sequence[int]) -> Any:
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
    _finish(panel, moments)
    return figure


def _draw_losses(table: Table, moments: Sequence[int]) -> Any:
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
        _finish(panel, moments)
    panels[0].set_ylabel("loss")
    _focus(panels[0], table)
    figure.legend(
        lines.values(), lines, loc="outside lower center", ncols=8, frameon=False, fontsize=8
    )
    return figure


def _focus(panel: Any, table: Table) -> None:
    """Leave out the steep beginning, a seventh of the updates, where all curves are one."""
    updates = table.column("update")
    start = min(updates) + (max(updates) - min(updates)) / 7
    losses = [row[3] for row in table.rows if row[2] >= start]
    low, high = min(losses), max(losses)
    if high > low:
        reach = 0.05 * (high - low)
        panel.set_ylim(low - reach, high + reach)


def _finish(panel: Any, moments: Sequence[int]) -> None:
    from matplotlib.ticker import StrMethodFormatter

    for moment in moments:
        panel.axvline(moment, color="#D55E00", ls="--", lw=1)
    panel.set_xlabel("update")
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
