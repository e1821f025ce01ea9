"""The comparison as text: an aligned Markdown table, sample translations and a plain verdict."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from fairseq_gist.evaluation.scores import AVERAGE, CorpusScores
from fairseq_gist.evaluation.system import System

__all__ = ["samples", "table", "verdict"]

Scored = Sequence[Tuple[System, CorpusScores]]
"""The systems with their scores, the one that the others are compared with first."""


def table(scored: Scored) -> str:
    """Return BLEU and chrF of every system, a Markdown table each, best of a column in bold."""
    parts = [
        _metric_table(title, scored, [getattr(scores, metric) for _, scores in scored])
        for title, metric in (("BLEU", "bleu"), ("chrF", "chrf"))
    ]
    return "\n\n".join(parts)


def verdict(scored: Scored) -> str:
    """Say how far each system's averages are from the first one's, one line a system."""
    (baseline, base), *others = scored
    if not others:
        return f"{baseline.name}: BLEU {base.bleu[AVERAGE]:.2f}, chrF {base.chrf[AVERAGE]:.2f}."
    return "\n".join(_difference(system, scores, baseline, base) for system, scores in others)


def samples(systems: Sequence[System], count: int) -> str:
    """Lay out ``count`` rows with source, reference and every system's hypothesis.

    The choice is the same in every run: languages take turns, and each language's rows are taken
    at even distances.
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
        own = rows[language]
        take = min(turns, len(own))
        for turn in range(take):
            chosen[turn].append(own[(2 * turn + 1) * len(own) // (2 * take)])
    return [row for turn in chosen for row in turn][:count]


def _metric_table(title: str, scored: Scored, scores: Sequence[Dict[str, float]]) -> str:
    columns = list(scores[0])
    best = {column: max(f"{row[column]:.2f}".rjust(6) for row in scores) for column in columns}
    rows = [[title, "parameters", *columns]]
    for (system, _), row in zip(scored, scores):
        cells = [f"{row[column]:.2f}" for column in columns]
        if len(scored) > 1:
            cells = [
                f"**{cell}**" if cell.rjust(6) == best[column] else cell
                for cell, column in zip(cells, columns)
            ]
        count = "-" if system.parameters is None else f"{system.parameters:,}"
        rows.append([system.name, count, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |"
        for row in [rows[0], rule, *rows[1:]]
    ]
    return "\n".join(lines)


def _difference(system: System, scores: CorpusScores, baseline: System, base: CorpusScores) -> str:
    languages = [language for language in scores.bleu if language != AVERAGE]
    ahead = sum(scores.bleu[language] > base.bleu[language] for language in languages)
    bleu = round(scores.bleu[AVERAGE] - base.bleu[AVERAGE], 2)
    chrf = scores.chrf[AVERAGE] - base.chrf[AVERAGE]
    relation = f"{abs(bleu):.2f} BLEU {'above' if bleu > 0 else 'below'}" if bleu else "level with"
    line = (
        f"{system.name} is {relation} {baseline.name} on average (chrF {chrf:+.2f}), ahead in "
        f"{ahead} of {len(languages)} languages"
    )
    if system.parameters and baseline.parameters:
        line += f", with {system.parameters / baseline.parameters:.2f} times the parameters"
    return line + "."
