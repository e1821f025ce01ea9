"""Published data that are laid out otherwise than MuST-C: told by name, for messages.

A layout that can be read is a file in ``layouts/``; these are those for which there is none, or of
which only the names of splits differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict

__all__ = ["looks_like"]


def looks_like(root: Path) -> str:
    """Return what to say of a folder that isn't in the MuST-C layout, empty where nobody knows."""
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
    "this is one language of a release: name the folder above it": _has("data/*/txt/*.yaml"),
    "this looks like mTEDx, whose splits are train, valid and test: --source es (or --target en) "
    "--splits train,valid,test --multiway-from valid": _has_all(
        "*-*/data/valid/txt/valid.yaml", "*-*/data/test/txt/test.yaml"
    ),
    f"this looks like Europarl-ST; {_INTO}": _has("*/*/train/segments.lst"),
    f"this looks like FLEURS; {_INTO}": _has_all("*/train.tsv", "*/audio/train"),
    f"this looks like Common Voice or CoVoST; {_INTO}": lambda root: (
        _has("clips")(root) or _has("*/clips")(root) or _has("covost_v2.*.tsv")(root)
    ),
    f"this looks like data of IWSLT's low-resource track; {_INTO}": lambda root: (
        _has_all("train/txt/train.yaml")(root) or _has_all("*/train/txt/train.yaml")(root)
    ),
    f"this looks like STM files; {_INTO}": lambda root: (
        _has("*.stm")(root) or _has("*/*.stm")(root) or _has("*/stm/*.stm")(root)
    ),
}
"""What to say -> whether it is that; the first that fits counts."""
