"""How a plan came about in a run that differentiated several times."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import PLAN, Drawing
from fairseq_gist.report.style import SEQUENTIAL, new_figure, readable_on
from fairseq_gist.sharing.description import describe_groups
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["DRAWING", "history_figure"]

HEADER = ("update", "unit", "copies", "groups", "is new")


def history_figure(label: str, plan: SharingPlan) -> Optional[Union[Figure, Missing]]:
    """Draw units x moments, the number of copies in each cell; None for fewer than two moments."""
    steps = plan.steps
    if len(steps) < 2:
        return None
    rows: List[Tuple[Any, ...]] = []
    for number, step in enumerate(steps):
        for unit in plan.units:
            groups = step.plan.units.get(unit, (plan.languages,))
            before = steps[number - 1].plan.units.get(unit) if number else None
            is_new = groups != (before or (plan.languages,))
            rows.append((step.update, unit, len(groups), describe_groups(groups), is_new))
    caption = (
        "Copies of every unit after each differentiation; framed where it was split at that "
        f"moment. Plan {plan.signature}"
    )
    table = Table(HEADER, rows)
    return Figure(
        "history", f"How the plan came about: {label}", caption, table, lambda: _draw(table)
    )


DRAWING = Drawing("history", PLAN, 20, lambda seen: [history_figure(seen.label, seen.plan)])


def _draw(table: Table) -> Any:
    from matplotlib.patches import Rectangle

    updates = list(dict.fromkeys(table.column("update")))
    units = list(dict.fromkeys(table.column("unit")))
    copies = np.array(table.column("copies")).reshape(len(updates), len(units)).T
    is_new = np.array(table.column("is new")).reshape(len(updates), len(units)).T
    figure = new_figure(3.8 + 0.6 * len(updates), 1.1 + 0.17 * len(units))
    panel = figure.subplots()
    image = panel.pcolormesh(copies, cmap=SEQUENTIAL, edgecolors="white", linewidth=0.5)
    panel.invert_yaxis()
    for (row, column), count in np.ndenumerate(copies):
        shade = readable_on(image.cmap(image.norm(count)))
        panel.text(
            column + 0.5, row + 0.5, str(count), ha="center", va="center", size=6, color=shade
        )
        if is_new[row, column]:
            frame = Rectangle((column, row), 1, 1, fill=False, edgecolor="#D55E00", lw=1.5)
            panel.add_patch(frame)
    panel.set_yticks(np.arange(len(units)) + 0.5, units, size=7)
    panel.set_xticks(np.arange(len(updates)) + 0.5, [f"{update:,}" for update in updates])
    panel.xaxis.tick_top()
    panel.set_title("after update")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return figure
