"""Cosine similarity by layer and kind of unit, as a heat map."""

from __future__ import annotations

from typing import Any, Dict, List, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.figures.heat import Scale, draw_cells, scale_of
from fairseq_gist.report.figures.parts import table_of_parts
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import new_figure

__all__ = ["DRAWING", "kinds_figure"]

TITLE = "Similarity by kind of unit"


def kinds_figure(similarity: Similarity) -> Union[Figure, Missing]:
    """Draw the mean cosine over language pairs of every kind of unit in every layer."""
    if not similarity.pairs:
        return Missing(TITLE, "one language alone has nothing to be similar to")
    table = table_of_parts([part for part in similarity.by_kind() if part.layer is not None])
    if not table.rows:
        return Missing(TITLE, "no unit was recorded that lies in a layer")
    scale = scale_of(np.array(table.column("cosine")))
    caption = (
        "Cosine of the languages' gradients, the mean over language pairs. In brackets: values "
        "whose 95 % interval includes zero; blank: not defined, the gradients are zero or nothing "
        f"but noise.{scale.in_words} {similarity.source}"
    )
    return Figure("kinds", TITLE, caption, table, lambda: _draw(table, scale))


DRAWING = Drawing("kinds", SIMILARITY, 20, lambda seen: [kinds_figure(seen.similarity)])


def _draw(table: Table, scale: Scale) -> Any:
    stacks: Dict[str, Dict[Any, Any]] = {}
    for stack, layer, kind, _, value, low, high in table.rows:
        stacks.setdefault(stack, {})[kind, layer] = (value, low <= 0 <= high)
    kinds = {stack: _ordered([kind for kind, _ in own]) for stack, own in stacks.items()}
    layers = {stack: sorted({layer for _, layer in own}) for stack, own in stacks.items()}
    height = max(map(len, kinds.values()))
    columns = sum(map(len, layers.values()))
    figure = new_figure(1.9 * len(stacks) + 0.42 * columns + 0.9, 1.1 + 0.28 * height)
    widths = [len(own) + 1 for own in layers.values()]
    panels = figure.subplots(1, len(stacks), squeeze=False, width_ratios=widths)[0]
    image = None
    for panel, (stack, own) in zip(panels, stacks.items()):
        shape = (len(kinds[stack]), len(layers[stack]))
        values, unsure = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
        for (kind, layer), (value, includes_zero) in own.items():
            place = kinds[stack].index(kind), layers[stack].index(layer)
            values[place], unsure[place] = value, includes_zero
        image = draw_cells(panel, values, scale, unsure)
        panel.set_yticks(np.arange(shape[0]) + 0.5, kinds[stack])
        panel.set_xticks(np.arange(shape[1]) + 0.5, [str(layer) for layer in layers[stack]])
        panel.set_xlabel(f"{stack} layer".strip())
    ends = "both" if scale.beyond else "neither"
    figure.colorbar(image, ax=list(panels), label="mean cosine", shrink=0.8, extend=ends)
    return figure


def _ordered(kinds: List[str]) -> List[str]:
    """Return every kind once, in the model's order, norms last."""
    return sorted(dict.fromkeys(kinds), key=lambda kind: "norm" in kind)
