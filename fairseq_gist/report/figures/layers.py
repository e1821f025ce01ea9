"""Cosine similarity by layer (Wang et al. 2022, Figure 2)."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.figures.parts import table_of_parts
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import PALETTE, new_figure

__all__ = ["DRAWING", "layers_figure"]

TITLE = "Similarity by layer"


def layers_figure(similarity: Similarity) -> Union[Figure, Missing]:
    """Draw the mean cosine over language pairs and units, by layer."""
    if not similarity.pairs:
        return Missing(TITLE, "one language alone has nothing to be similar to")
    table = table_of_parts(similarity.by_layer())
    if np.isnan(table.column("cosine")).all():
        return Missing(TITLE, "no cosine is defined: gradients are zero, or nothing but noise")
    caption = (
        "Cosine of the languages' gradients, the mean over language pairs and the units of a "
        "layer; 1 is full agreement, below 0 the languages pull in opposite directions. Bars: 95 % "
        f"intervals from leaving out one chunk of data at a time. {similarity.source}"
    )
    return Figure("layers", TITLE, caption, table, lambda: _draw(table))


DRAWING = Drawing("layers", SIMILARITY, 10, lambda seen: [layers_figure(seen.similarity)])


def _draw(table: Table) -> Any:
    stacks: Dict[str, List[Tuple[Any, ...]]] = {}
    for row in table.rows:
        stacks.setdefault(row[0], []).append(row)
    figure = new_figure(1.6 + 2.6 * max(1, len(stacks)) + 0.12 * len(table.rows), 3.2)
    widths = [max(2, len(rows)) for rows in stacks.values()]
    panels = figure.subplots(1, len(stacks), sharey=True, squeeze=False, width_ratios=widths)[0]
    for panel, (stack, rows), colour in zip(panels, stacks.items(), PALETTE):
        values = np.array([row[4:] for row in rows], dtype=float)
        places = np.arange(len(rows))
        inside = [place for place, row in enumerate(rows) if row[1] is not None]
        panel.plot(places[inside], values[inside, 0], color=colour, lw=1, zorder=1)
        errors = np.abs(values[:, 1:].T - values[:, 0])
        panel.errorbar(
            places, values[:, 0], np.nan_to_num(errors), fmt="o", color=colour, ms=4, capsize=2
        )
        panel.axhline(0, color="grey", lw=0.8)
        labels = [str(row[1]) if row[1] is not None else row[2] for row in rows]
        panel.set_xticks(places, labels)
        for tick, label in zip(panel.get_xticklabels(), labels):
            if len(label) > 3:
                tick.set(rotation=30, ha="right")
        panel.set_xlim(-0.5, len(rows) - 0.5)
        panel.set_xlabel(f"{stack} layer".strip())
        panel.margins(y=0.1)
    panels[0].set_ylabel("mean cosine")
    return figure
