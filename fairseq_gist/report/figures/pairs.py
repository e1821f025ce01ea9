"""Languages whose gradients agree beside languages that a plan keeps together, in one square."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.report.figure import Figure, Table
from fairseq_gist.report.figures.heat import Scale, draw_cells, scale_of
from fairseq_gist.report.figures.languages import language_order
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import TOGETHER, new_figure
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["pairs_figure"]

Floats = NDArray[np.float64]

_SIDE = 3.7
"""Inches: what the narrowest of phones shows without making it smaller."""


def pairs_figure(
    similarity: Optional[Similarity], plan: Optional[SharingPlan], label: str = ""
) -> Figure:
    """Draw languages x languages: cosines below the diagonal, time together above.

    Args:
        similarity: of at least two languages; where there is none, the plan has both sides.
        plan: of the same languages; where there is none, the cosines have both sides.
        label: of the plan, where it was found.
    """
    if similarity is not None:
        languages = similarity.statistics.languages
        cosines = similarity.matrix(similarity.of_pairs().value.tolist())
    else:
        assert plan is not None, "there is one of the two"
        languages, cosines = plan.languages, None
    shares = _together(plan) if plan is not None else None
    whole = cosines if cosines is not None else shares
    assert whole is not None
    order = language_order(whole)
    rows: List[Tuple[Any, ...]] = [
        (
            languages[one],
            languages[other],
            None if cosines is None else float(cosines[one, other]),
            None if shares is None else float(shares[one, other]),
        )
        for place, one in enumerate(order)
        for other in order[place + 1 :]
    ]
    scale = scale_of(np.array([row[2] for row in rows], dtype=float))
    words = {
        "below": "how far the gradients of two languages agree, their mean cosine (blue; red where "
        "they pull against each other)",
        "above": "on what share of the units that are split the two have one copy (green)",
    }
    if cosines is None or shares is None:
        caption = f"Every cell: {words['above' if cosines is None else 'below']}."
    else:
        caption = f"Below the diagonal: {words['below']}. Above it: {words['above']}."
    if cosines is not None:
        caption += scale.in_words
    sources = []
    if similarity is not None:
        sources.append(f"gradients in {similarity.label} ({similarity.statistics.signature})")
    if plan is not None:
        sources.append(f"plan in {label} ({plan.signature})")
    return Figure(
        "opening",
        "Whose gradients agree, and who shares" if plan is not None else "Whose gradients agree",
        f"{caption} From {', '.join(sources)}",
        Table(("one", "other", "cosine", "share of split units together"), rows),
        lambda: _draw([languages[place] for place in order], rows, scale),
    )


def _together(plan: SharingPlan) -> Floats:
    """Return on what share of the split units two languages have one copy; 1 if none is split."""
    split = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    if not split:
        return np.ones((len(plan.languages),) * 2)
    groups = np.array([plan.group_of(unit) for unit in split])
    return np.asarray((groups[:, :, None] == groups[:, None, :]).mean(axis=0), dtype=np.float64)


def _draw(order: Sequence[str], rows: Sequence[Tuple[Any, ...]], scale: Scale) -> Any:
    count = len(order)
    cosines, shares = (np.full((count, count), np.nan) for _ in range(2))
    place = {language: index for index, language in enumerate(order)}
    for one, other, cosine, share in rows:
        below = max(place[one], place[other]), min(place[one], place[other])
        above = below[::-1]
        if cosine is not None:
            cosines[below] = cosine
        if share is not None:
            shares[above] = share
        if share is None:
            cosines[above] = cosine
        if cosine is None:
            shares[below] = share
    figure = new_figure(_SIDE, _SIDE)
    panel = figure.subplots()
    size = 9.0 if count <= 9 else 6.5 if count <= 14 else 0.0
    if not np.isnan(shares).all():
        whole = Scale(1.0, 0)
        draw_cells(panel, shares, whole, colours=TOGETHER, lowest=0.0, size=size, form=".0%")
    if not np.isnan(cosines).all():
        draw_cells(panel, cosines, scale, size=size)
    panel.set_ylim(count, 0)
    panel.set_aspect("equal")
    ticks = np.arange(count) + 0.5
    letters = 9 if count <= 14 else max(4.0, 130 / count)
    is_long = count > 14 or max(map(len, order)) > 4
    panel.set_xticks(ticks, order, rotation=90 if is_long else 0, size=letters)
    panel.set_yticks(ticks, order, size=letters)
    panel.xaxis.tick_top()
    return figure
