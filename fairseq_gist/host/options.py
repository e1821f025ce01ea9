"""Options of fairseq's that the stacks read differently."""

from __future__ import annotations

from typing import Any, Sequence

__all__ = ["read_numbers"]


def read_numbers(parser: Any, names: Sequence[str]) -> None:
    """Have options that are whole numbers read as such: fairseq 0.12.2 leaves some as text."""
    for action in parser._actions:  # noqa: SLF001
        if action.dest in names:
            action.type = int
