"""Whether conflict sits in few neurons of a feed-forward block, or in all of them."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np

from fairseq_gist.policies.conflict import MEASURES, conflicts
from fairseq_gist.report.figure import Figure, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import DASHES, PALETTE, new_figure

__all__ = ["DRAWING", "neuron_figure"]

HEADER = ("block", "neuron", *(f"conflict by {measure}" for measure in MEASURES))


def neuron_figure(similarity: Similarity) -> Optional[Figure]:
    """Draw how conflict adds up over the neurons, the largest first; None without any."""
    statistics = similarity.statistics
    if not statistics.neurons or not similarity.pairs:
        return None
    if min(statistics.chunks_per_language.values()) < 2:
        return None
    each = [[language] for language in statistics.languages]
    blocks = {first: [first, own.second] for first, own in statistics.neurons.items()}
    merged = statistics.merged(blocks)
    rows: List[Tuple[Any, ...]] = []
    for first, neurons in statistics.neurons.items():
        found = [conflicts(merged, first, neurons, each, measure)[0] for measure in MEASURES]
        rows += [(first, unit, *map(float, own)) for unit, own in enumerate(zip(*found))]
    table = Table(HEADER, rows)
    caption = (
        "Conflict of a neuron: of its part of the gradients, the mean product of a language's "
        "chunks minus that of different languages'; here along the directions that tell "
        f"languages apart ('{MEASURES[0]}'; '{MEASURES[1]}', in all directions, is in the CSV). "
        "Sums over the neurons with the largest, as a share of the sum of all: a curve above "
        f"1 means that others agree. Grey: if all had the same. {similarity.source}"
    )
    return Figure("neurons", "Conflict of single neurons", caption, table, lambda: _draw(table))


DRAWING = Drawing("neurons", SIMILARITY, 60, lambda seen: [neuron_figure(seen.similarity)])


def _draw(table: Table) -> Any:
    blocks = list(dict.fromkeys(table.column("block")))
    names, values = np.array(table.column("block")), np.array(table.column(HEADER[2]))
    figure = new_figure(7.0, 3.2 + 0.16 * len(blocks))
    panel = figure.subplots()
    panel.plot([0, 1], [0, 1], color="#999999", lw=0.8)
    for number, block in enumerate(blocks):
        own = np.sort(values[names == block])[::-1]
        total = own.sum()
        curve = np.concatenate([[0.0], own.cumsum()]) / (total if total > 0 else np.nan)
        dash = DASHES[number // len(PALETTE) % len(DASHES)]
        colour = PALETTE[number % len(PALETTE)]
        panel.plot(np.linspace(0, 1, len(curve)), curve, color=colour, ls=dash, label=block, lw=1.3)
    panel.set_xlabel("share of the neurons")
    panel.set_ylabel("share of the conflict")
    panel.set_xlim(0, 1)
    figure.legend(loc="outside lower left", fontsize=7, frameon=False)
    return figure
