"""Ways in which a release lays out its audio and text, one a file: a module with a ``LAYOUT``."""

from __future__ import annotations

from typing import Dict, Type

from fairseq_gist.discovery import found_in
from fairseq_gist.preparing.layouts.base import Layout, Segment

__all__ = ["Layout", "Segment", "all_layouts"]


def all_layouts() -> Dict[str, Type[Layout]]:
    """Return every layout by its name."""
    return found_in(__name__, "LAYOUT", Layout)
