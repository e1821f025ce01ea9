"""How much languages diverge on each unit, and in which groups (Sun & Nakamura 2026, A and B)."""

from __future__ import annotations

from typing import Any, List, Tuple, Union

import numpy as np
from tqdm import tqdm

from fairseq_gist.evaluation.verdict import SIGNIFICANCE
from fairseq_gist.gradients.analysis.capacity import shared_fraction
from fairseq_gist.gradients.analysis.clustering import cluster_languages
from fairseq_gist.gradients.analysis.divergence import divergence
from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import PALETTE, new_figure
from fairseq_gist.sharing.description import describe_groups

__all__ = ["DRAWING", "divergence_figure"]

TITLE = "Divergence by unit"

HEADER = (
    "unit",
    "delta",
    "low",
    "high",
    "p of delta",
    "self-similarity",
    "cross-similarity",
    "shared fraction, steps",
    "shared fraction, continuous",
    "groups",
    "p of groups",
)

_DRAWS, _FEWER_DRAWS, _MANY = 999, 199, 12
"""Permutations behind p, and how many there are with more than so many languages."""


def divergence_figure(similarity: Similarity) -> Union[Figure, Missing]:
    """Draw self- minus cross-similarity of every unit, with its interval and p.

    Groups of languages are named where the hypotheses that there are none can be refused.
    """
    statistics = similarity.statistics
    if not similarity.pairs:
        return Missing(TITLE, "one language alone has nothing to diverge from")
    draws = _DRAWS if len(statistics.languages) <= _MANY else _FEWER_DRAWS
    rows: List[Tuple[Any, ...]] = []
    for unit in tqdm(statistics.units, desc="analysing", unit="unit", disable=None, delay=2):
        found = divergence(statistics, unit, draws)
        groups = cluster_languages(statistics, unit, permutations=draws)
        partition = groups.partition(SIGNIFICANCE)
        known = not np.isnan(found.delta)
        rows.append(
            (
                unit,
                found.delta,
                *found.interval,
                found.p_value,
                float(np.mean(found.self_similarity)) if known else float("nan"),
                float(np.mean(found.cross_similarity)) if known else float("nan"),
                shared_fraction(found.delta, "steps") if known else None,
                shared_fraction(found.delta, "continuous") if known else None,
                describe_groups(partition) if len(partition) > 1 else "",
                groups.p_value,
            )
        )
    table = Table(HEADER, rows)
    if np.isnan(table.column("delta")).all():
        return Missing(TITLE, "with one chunk of data a language can't be compared with itself")
    caption = (
        "Mean cosine between different chunks of one language minus that between languages; bars: "
        f"95 % intervals. Filled: above 0 with p <= {SIGNIFICANCE}, each unit by itself. On the "
        "right: groups of languages, where neither that all are alike nor that all are equally "
        f"apart can be believed (p <= {SIGNIFICANCE}). p by {draws} permutations. "
        f"{similarity.source}"
    )
    is_long = len(rows) > 40
    return Figure("divergence", TITLE, caption, table, lambda: _draw(table), is_long)


DRAWING = Drawing("divergence", SIMILARITY, 40, lambda seen: [divergence_figure(seen.similarity)])


def _draw(table: Table) -> Any:
    units, groups = table.column("unit"), table.column("groups")
    values = np.array([row[1:5] for row in table.rows], dtype=float)
    places = np.arange(len(units))
    longest = max(map(len, groups))
    figure = new_figure(6.0 + 0.06 * longest, 0.9 + 0.17 * len(units))
    panel = figure.subplots()
    errors = np.nan_to_num(np.abs(values[:, 1:3].T - values[:, 0]))
    panel.errorbar(values[:, 0], places, xerr=errors, fmt="none", ecolor="#999999", lw=1)
    sure = values[:, 3] <= SIGNIFICANCE
    for chosen, face in ((sure, PALETTE[0]), (~sure, "white")):
        panel.scatter(
            values[chosen, 0], places[chosen], s=18, facecolor=face, edgecolor=PALETTE[0], zorder=3
        )
    panel.axvline(0, color="grey", lw=0.8)
    panel.set_yticks(places, units, size=7)
    panel.set_ylim(len(units) - 0.5, -0.5)
    panel.set_xlabel("delta = self-similarity - cross-similarity")
    if longest:
        right = panel.secondary_yaxis("right")
        right.set_yticks(places, groups, size=7)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    return figure
