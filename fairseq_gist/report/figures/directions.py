"""Which directions of a joint basis are common, and which are whose (Sun & Nakamura 2026, C)."""

from __future__ import annotations

from typing import Any, List, Tuple, Union

import numpy as np

from fairseq_gist.gradients.analysis.directions import KINDS, directions
from fairseq_gist.gradients.analysis.factorization import factorize
from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import NEUTRAL, PALETTE, new_figure

__all__ = ["DRAWING", "directions_figure"]

TITLE = "Directions of the gradients"


def directions_figure(similarity: Similarity) -> Union[Figure, Missing]:
    """Draw the share of the gradients' energy in each kind of direction, by unit."""
    statistics = similarity.statistics
    if not similarity.pairs:
        return Missing(TITLE, "one language alone has no directions in common")
    if similarity.jackknife.chunks < 2:
        return Missing(TITLE, "with one chunk of data a direction can't be told from noise")
    rows: List[Tuple[Any, ...]] = []
    for unit in statistics.units:
        basis = factorize(statistics, unit)
        found = directions(basis)
        signs = found.signs()
        for number, kind in enumerate(found.kinds()):
            along = [one for one, sign in zip(found.languages, signs[number]) if sign > 0]
            against = [one for one, sign in zip(found.languages, signs[number]) if sign < 0]
            energy = dict(zip(basis.languages, basis.energy[:, number].tolist()))
            rows.append(
                (
                    unit,
                    number,
                    kind,
                    float(basis.explained[number]),
                    " ".join(along),
                    " ".join(against),
                    *(energy.get(language) for language in statistics.languages),
                )
            )
    header = ("unit", "component", "kind", "share", "along", "against")
    energies = tuple(f"energy of {language}" for language in statistics.languages)
    table = Table((*header, *energies), rows)
    if not rows:
        return Missing(TITLE, "all gradients are zero")
    caption = (
        "Singular value decomposition of all languages' gradients together. A direction is common "
        "if every language goes along it, in conflict if some go along and some against, of a "
        "group or of one language's own if only those do; noise: of none for sure. As directions "
        "are at right angles, what sets two groups apart appears as a conflict. Share of the "
        "gradients' squared length, noise included; the rest is in weaker directions. "
        f"{similarity.source}"
    )
    is_long = len(statistics.units) > 40
    return Figure("directions", TITLE, caption, table, lambda: _draw(table), is_long)


DRAWING = Drawing("directions", SIMILARITY, 50, lambda seen: [directions_figure(seen.similarity)])


def _draw(table: Table) -> Any:
    units = list(dict.fromkeys(table.column("unit")))
    figure = new_figure(7.0, 1.3 + 0.17 * len(units))
    panel = figure.subplots()
    places = np.arange(len(units))
    start = np.zeros(len(units))
    for number, kind in enumerate(KINDS):
        shares = np.zeros(len(units))
        for row in table.rows:
            if row[2] == kind:
                shares[units.index(row[0])] += 100 * row[3]
        colour = NEUTRAL if kind == "noise" else PALETTE[number % len(PALETTE)]
        panel.barh(places, shares, left=start, color=colour, label=kind, height=0.85)
        start += shares
    panel.set_yticks(places, units, size=7)
    panel.set_ylim(len(units) - 0.5, -0.5)
    panel.set_xlim(0, 100)
    panel.set_xlabel("% of the gradients' squared length")
    figure.legend(loc="outside upper center", ncols=len(KINDS), frameon=False, fontsize=8)
    return figure
