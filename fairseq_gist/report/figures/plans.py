"""A sharing plan: which languages share which copy of a unit, and what that costs."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import PLAN, Drawing
from fairseq_gist.report.figures.languages import language_order
from fairseq_gist.report.style import NEUTRAL, PALETTE, new_figure, readable_on
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["DRAWING", "plan_figure", "together"]

HEADER = ("unit", "language", "copy", "copies", "parameters", "share of the model")


def plan_figure(
    label: str, plan: SharingPlan, order: Optional[Sequence[str]] = None, is_folded: bool = False
) -> Union[Figure, Missing]:
    """Draw units x languages, one colour a copy, beside the share of the parameters.

    Args:
        label: name of the plan.
        plan: what to draw.
        order: the languages from left to right; by default those next to each other that are
            together most often.
        is_folded: whether the page shows it only when asked to.
    """
    title = f"Who shares what: {label}"
    if not plan.units:
        return Missing(title, "the plan has no units")
    if order is None or set(order) != set(plan.languages):
        order = [plan.languages[place] for place in language_order(together(plan))]
    sizes = plan.sizes if set(plan.units) <= set(plan.sizes) else None
    total = plan.parameters
    rows: List[Tuple[Any, ...]] = []
    for unit, groups in plan.units.items():
        size = sizes[unit] * len(groups) if sizes else None
        share = size / total if size is not None and total else None
        of_language = dict(zip(plan.languages, plan.group_of(unit)))
        rows += [(unit, name, of_language[name], len(groups), size, share) for name in order]
    caption = (
        "One colour a copy, that of its alphabetically first language; grey: one copy for all. "
        + (
            f"Bars: share of all copies of a unit in the model's {total:,} parameters. "
            if total
            else "The plan doesn't say how large its units are. "
        )
        + f"Plan {plan.signature}"
    )
    table = Table(HEADER, rows)
    firsts = sorted(plan.languages)
    return Figure(
        "plan", title, caption, table, lambda: _draw(table, list(order or ()), firsts), is_folded
    )


def together(plan: SharingPlan) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return on what share of the units two languages share a copy, `[languages, languages]`."""
    groups = np.array([plan.group_of(unit) for unit in plan.units])
    same = groups[:, :, None] == groups[:, None, :]
    return np.asarray(same.mean(axis=0), dtype=np.float64)


DRAWING = Drawing(
    "plans", PLAN, 10, lambda seen: [plan_figure(seen.label, seen.plan, seen.order, seen.is_folded)]
)


def _draw(table: Table, order: Sequence[str], firsts: Sequence[str]) -> Any:
    from matplotlib.colors import to_rgba

    units = list(dict.fromkeys(table.column("unit")))
    colours = np.zeros((len(units), len(order), 4))
    leads: List[List[str]] = []
    shares = []
    for number in range(len(units)):
        rows = table.rows[number * len(order) : (number + 1) * len(order)]
        lead = {
            copy: min(row[1] for row in rows if row[2] == copy) for copy in {r[2] for r in rows}
        }
        leads.append([lead[row[2]] for row in rows])
        for column, row in enumerate(rows):
            palette = PALETTE[firsts.index(lead[row[2]]) % len(PALETTE)]
            colours[number, column] = to_rgba(NEUTRAL if row[3] == 1 else palette)
        shares.append(rows[0][5])
    has_shares = all(share is not None for share in shares)
    figure = new_figure(3.6 + 0.27 * len(order) + 1.4 * has_shares, 1.1 + 0.17 * len(units))
    panels = figure.subplots(
        1, 1 + has_shares, squeeze=False, width_ratios=[0.27 * len(order)] + [1.3] * has_shares
    )[0]
    _draw_cells(panels[0], colours, leads, with_names=len(firsts) > len(PALETTE))
    places = np.arange(len(units)) + 0.5
    panels[0].set_yticks(places, units, size=7)
    crowded = len(order) > 12 or max(map(len, order)) > 3
    panels[0].set_xticks(np.arange(len(order)) + 0.5, order, rotation=90 if crowded else 0)
    panels[0].xaxis.tick_top()
    panels[0].tick_params(length=0)
    if has_shares:
        panels[1].barh(places, [100 * share for share in shares], color="#777777", height=0.8)
        panels[1].set_ylim(panels[0].get_ylim())
        panels[1].set_yticks([])
        panels[1].set_xlabel("% of parameters")
    return figure


def _draw_cells(panel: Any, colours: Any, leads: Sequence[Sequence[str]], with_names: bool) -> None:
    rows, columns = colours.shape[:2]
    panel.imshow(colours, extent=(0, columns, rows, 0), aspect="auto", interpolation="none")
    panel.vlines(range(1, columns), 0, rows, color="white", lw=0.8)
    panel.hlines(range(1, rows), 0, columns, color="white", lw=0.8)
    panel.spines[:].set_visible(False)
    if not with_names:
        return
    for row, names in enumerate(leads):
        for column, name in enumerate(names if len(set(names)) > 1 else ()):
            shade = readable_on(colours[row, column])
            panel.text(
                column + 0.5, row + 0.5, name[:3], ha="center", va="center", size=5, color=shade
            )
