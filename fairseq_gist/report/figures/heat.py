"""Cells of a heat map with their values written in them."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.report.style import DIVERGING, readable_on

__all__ = ["Scale", "draw_cells", "scale_of"]

_MOST_TEXTS = 400
"""More values than this can't be read."""

_MOST, _FAR = 0.95, 1.5
"""Where the largest value is so many times that of this share of them, colours end at that."""


class Scale(NamedTuple):
    """Which values have the darkest colours.

    Attributes:
        largest: the absolute value.
        beyond: how many of the values that the scale was made for are larger.
    """

    largest: float
    beyond: int

    @property
    def in_words(self) -> str:
        """A sentence for the caption, with a blank in front; empty where there is nothing to say.

        >>> Scale(0.25, 1).in_words
        ' Colours end at 0.25, so that those of most can be told apart; 1 value lies beyond.'
        """
        if not self.beyond:
            return ""
        lie = "value lies" if self.beyond == 1 else "values lie"
        return (
            f" Colours end at {self.largest:.2f}, so that those of most can be told apart; "
            f"{self.beyond:,} {lie} beyond."
        )


def scale_of(values: NDArray[np.float64]) -> Scale:
    """Return the scale of values of any shape; a few far larger than the others don't set it.

    >>> scale_of(np.array([0.1, -0.2, 0.3, np.nan]))
    Scale(largest=0.3, beyond=0)
    >>> scale_of(np.array([0.1] * 40 + [-2.0]))
    Scale(largest=0.1, beyond=1)
    """
    sizes = np.sort(np.abs(values[~np.isnan(values)]))
    if sizes.size == 0 or sizes[-1] == 0:
        return Scale(1e-9, 0)
    most = float(sizes[int(_MOST * (sizes.size - 1))])
    if most == 0 or sizes[-1] <= _FAR * most:
        return Scale(float(sizes[-1]), 0)
    return Scale(most, int((sizes > most).sum()))


def draw_cells(
    panel: Any,
    values: NDArray[np.float64],
    scale: Scale,
    in_brackets: Optional[NDArray[np.bool_]] = None,
    *,
    colours: str = DIVERGING,
    lowest: Optional[float] = None,
    size: float = 6.5,
    form: str = ".2f",
) -> Any:
    """Draw ``values`` `[rows, columns]`, the first row on top, white at zero; return the image.

    Args:
        panel: axes to draw on.
        values: NaN leaves a cell blank.
        scale: of the colours.
        in_brackets: cells whose value is bracketed, `[rows, columns]`.
        colours: name of a matplotlib colour map.
        lowest: the value that has its first colour; by default minus the largest.
        size: of the numbers in the cells, in points; 0 for none.
        form: of the numbers.
    """
    image = panel.pcolormesh(
        np.ma.masked_invalid(values),
        cmap=colours,
        vmin=-scale.largest if lowest is None else lowest,
        vmax=scale.largest,
        edgecolors="white",
        linewidth=0.5,
    )
    panel.invert_yaxis()
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    if values.size > _MOST_TEXTS or not size:
        return image
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        text = format(value, form)
        if in_brackets is not None and in_brackets[row, column]:
            text = f"({text})"
        panel.text(
            column + 0.5,
            row + 0.5,
            text,
            ha="center",
            va="center",
            color=readable_on(image.cmap(image.norm(value))),
            size=size,
        )
    return image
