"""Sample translations, side by side."""

from __future__ import annotations

import statistics
from typing import Dict, List, Sequence

from fairseq_gist.evaluation.system import System

__all__ = ["samples"]


def samples(systems: Sequence[System], count: int) -> str:
    """Lay out ``count`` rows with source, reference and every system's hypothesis.

    The choice is the same in every run: languages take turns, and of each language's rows whose
    references are no shorter than the median (of all, where more are asked for) some at even
    distances are taken. A letter or a word by itself shows little.
    """
    references = systems[0].references
    width = max(len(name) for name in ["reference", *(system.name for system in systems)])
    blocks = []
    for row in _spread(systems[0], count):
        source = references[row].source
        lines = [("source", source)] if source else []
        lines.append(("reference", references[row].text))
        lines += [(system.name, system.hypotheses[row]) for system in systems]
        blocks.append(
            f"[{references[row].language}]\n"
            + "\n".join(f"  {name:<{width}}  {text}" for name, text in lines)
        )
    return "\n\n".join(blocks)


def _spread(system: System, count: int) -> List[int]:
    """Choose ``count`` rows, the languages in turn."""
    rows: Dict[str, List[int]] = {}
    for row, reference in enumerate(system.references):
        rows.setdefault(reference.language, []).append(row)
    turns = -(-count // len(rows))
    chosen: List[List[int]] = [[] for _ in range(turns)]
    for language in sorted(rows):
        own = _not_short(system, rows[language], turns)
        take = min(turns, len(own))
        for turn in range(take):
            chosen[turn].append(own[(2 * turn + 1) * len(own) // (2 * take)])
    return [row for turn in chosen for row in turn][:count]


def _not_short(system: System, rows: Sequence[int], wanted: int) -> List[int]:
    """Return the rows no shorter than the median, or all where these are too few."""
    lengths = {row: len(system.references[row].text) for row in rows}
    middle = statistics.median(lengths.values())
    found = [row for row in rows if lengths[row] >= middle]
    return found if len(found) >= wanted else list(rows)
