"""Figures of the report, found where they lie: a module here with a ``DRAWING`` adds some."""

from __future__ import annotations

from typing import Any, List, Union

from fairseq_gist.discovery import found_in
from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.figures.base import Drawing

__all__ = ["figures_for"]


def figures_for(chapter: str, seen: Any) -> List[Union[Figure, Missing]]:
    """Return what every module draws for a chapter, in order.

    Args:
        chapter: one of those in :mod:`fairseq_gist.report.figures.base`.
        seen: what that chapter's figures are drawn from.
    """
    drawings = [
        one for one in found_in(__name__, "DRAWING", Drawing).values() if one.chapter == chapter
    ]
    drawings.sort(key=lambda drawing: drawing.place)
    return [made for drawing in drawings for made in drawing.make(seen) if made is not None]
