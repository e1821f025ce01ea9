"""Published data that are laid out otherwise than was asked for: told by name, for messages.

A layout that can be read is a file in ``layouts/`` and knows itself; the others are here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

__all__ = ["looks_like"]


def looks_like(root: Path, asked: str = "mustc") -> str:
    """Return what to say of a folder that isn't in the layout ``asked``, empty if nobody knows."""
    from fairseq_gist.preparing.layouts import all_layouts  # which say so themselves

    if _has("data/*/txt/*.yaml")(root):
        return "this is one language of a release: name the folder above it"
    known = next((name for name, layout in all_layouts().items() if layout.is_at(root)), None)
    if known not in (None, asked):
        return f"this looks like --layout {known}"
    return next((advice for advice, is_it in _KNOWN.items() if is_it(root)), "")


def _has(pattern: str) -> Callable[[Path], bool]:
    return lambda root: next(root.glob(pattern), None) is not None


def _has_all(*patterns: str) -> Callable[[Path], bool]:
    return lambda root: all(_has(pattern)(root) for pattern in patterns)


_INTO = (
    "lay them out as ROOT/XX-YY/data/SPLIT/{txt,wav} (docs/data.md), or add a layout "
    "(docs/extending.md)"
)

_KNOWN: Dict[str, Callable[[Path], bool]] = {
    f"this looks like FLEURS; {_INTO}": _has_all("*/train.tsv", "*/audio/train"),
    "this looks like Common Voice without CoVoST's tables of translations, covost_v2.XX_YY.tsv": (
        lambda root: _has("clips")(root) or _has("*/clips")(root)
    ),
}
"""What to say -> whether it is that; the first that fits counts."""
