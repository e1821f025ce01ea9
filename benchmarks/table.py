"""Figures as a Markdown table."""

from __future__ import annotations

from typing import Sequence

from benchmarks.figures import Figure

__all__ = ["as_table"]


def as_table(figures: Sequence[Figure]) -> str:
    """Return ``figures`` as a Markdown table."""
    lines = [
        "| name | value | spread | CPU time | target | what was measured, against what |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        against = f", against {figure.b}" if figure.b else ""
        cpu = "" if figure.cpu is None else f"{figure.cpu:.3f}"
        met = {None: "", True: " (met)", False: " (**not met**)"}[figure.is_met]
        lines.append(
            f"| `{figure.name}` | {figure.value:.3f} {figure.unit} | {figure.minimum:.3f} - "
            f"{figure.maximum:.3f}, {figure.pairs} pairs | {cpu} | {figure.target}{met} | "
            f"{figure.a}{against} |"
        )
    return "\n".join(lines)
