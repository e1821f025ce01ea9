"""Labels beside points, placed so that none lies on another."""

from __future__ import annotations

import math
from typing import Any, List, Sequence, Tuple

__all__ = ["place_labels"]

_DIRECTIONS = 16
_RINGS = 14


def place_labels(
    figure: Any, panel: Any, points: Sequence[Tuple[float, float]], texts: Sequence[str]
) -> List[Any]:
    """Write a text beside every point, with a thin line to it where that is farther off.

    Each text takes the nearest place around its point, right of it first, where it lies on no
    earlier text and on no point; where there is none within reach, the farthest that was tried.

    Args:
        figure: what the panel is in; it is drawn once, so that sizes are known.
        panel: axes with their final limits.
        points: in data coordinates.
        texts: one a point.

    Returns:
        The texts as matplotlib annotations, in the order given.
    """
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    frame = panel.get_window_extent(renderer)
    dots = [panel.transData.transform(point) for point in points]
    taken: List[Tuple[float, float, float, float]] = [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]
    scale = figure.dpi / 72
    notes = []
    for point, (x, y), text in zip(points, dots, texts):
        note = panel.annotate(text, point, xytext=(0, 0), textcoords="offset points", size=7)
        extent = note.get_window_extent(renderer)
        width, height = extent.width + 2, extent.height
        box = _free_box((x, y), (width, height), taken, frame, scale)
        taken.append(box)
        note.set_position(((box[0] - x) / scale, (box[1] - y) / scale))
        if _distance(box, (x, y)) > 8 * scale:
            ends = panel.transData.inverted().transform(
                [(x, y), ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)]
            )
            panel.plot(ends[:, 0], ends[:, 1], color="#AAAAAA", lw=0.5, zorder=0)
        notes.append(note)
    return notes


def _free_box(
    dot: Tuple[float, float],
    size: Tuple[float, float],
    taken: Sequence[Tuple[float, float, float, float]],
    frame: Any,
    scale: float,
) -> Tuple[float, float, float, float]:
    (x, y), (width, height) = dot, size
    box = (x, y, x + width, y + height)
    for ring in range(_RINGS):
        for step in range(_DIRECTIONS):
            # right, then alternately above and below it, to the left at last
            turn = (step + 1) // 2 * (1 if step % 2 else -1)
            angle = 2 * math.pi * turn / _DIRECTIONS
            reach = (5 + 7 * ring) * scale
            middle_x = x + math.cos(angle) * (reach + width / 2)
            middle_y = y + math.sin(angle) * (reach + height / 2)
            box = (
                middle_x - width / 2,
                middle_y - height / 2,
                middle_x + width / 2,
                middle_y + height / 2,
            )
            inside = frame.x0 <= box[0] and box[2] <= frame.x1
            inside = inside and frame.y0 <= box[1] and box[3] <= frame.y1
            if inside and not any(_overlap(box, other) for other in taken):
                return box
    return box


def _overlap(
    one: Tuple[float, float, float, float], other: Tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _distance(box: Tuple[float, float, float, float], dot: Tuple[float, float]) -> float:
    across = max(box[0] - dot[0], 0.0, dot[0] - box[2])
    along = max(box[1] - dot[1], 0.0, dot[1] - box[3])
    return math.hypot(across, along)
