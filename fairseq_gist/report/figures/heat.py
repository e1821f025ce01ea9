"""Cells of a heat map with their values written in them."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.report.style import DIVERGING, readable_on

__all__ = ["draw_cells"]

_MOST_TEXTS = 400
"""More values than this can't be read."""


def draw_cells(
    panel: Any,
    values: NDArray[np.float64],
    largest: float,
    in_brackets: Optional[NDArray[np.bool_]] = None,
) -> Any:
    """Draw ``values`` `[rows, columns]`, the first row on top, white at zero; return the image.

    Args:
        panel: axes to draw on.
        values: NaN leaves a cell blank.
        largest: the absolute value that has the darkest colour.
        in_brackets: cells whose value is bracketed, `[rows, columns]`.
    """
    image = panel.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=DIVERGING,
        vmin=-largest,
        vmax=largest,
        edgecolors="white",
        linewidth=0.5,
    )
    panel.invert_yaxis()
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    if values.size > _MOST_TEXTS:
        return image
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        bracketed = in_brackets is not None and in_brackets[row, column]
        panel.text(
            column + 0.5,
            row + 0.5,
            f"({value:.2f})" if bracketed else f"{value:.2f}",
            ha="center",
            va="center",
            color=readable_on(image.cmap(image.norm(value))),
            size=6.5,
        )
    return image
