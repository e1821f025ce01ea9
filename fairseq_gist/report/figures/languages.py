"""Cosine similarity of every pair of languages, with a dendrogram (Wang et al. 2022, Figure 3)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from fairseq_gist.languages.families import families_of
from fairseq_gist.report.figure import Figure, Missing, Table
from fairseq_gist.report.figures.base import SIMILARITY, Drawing
from fairseq_gist.report.figures.heat import Scale, draw_cells, scale_of
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.style import PALETTE, new_figure
from fairseq_gist.sharing.shape import matching

__all__ = ["DRAWING", "language_order", "languages_figure", "tree_of"]

HEADER = ("one", "other", "family of one", "family of other", "cosine", "low", "high")

Floats = NDArray[np.float64]

_LONGEST = 100
"""Characters of a file name, for which the systems have limits."""

_HATCHES = ("", "////", "....", "xxxx")


def languages_figure(
    similarity: Similarity,
    what: str = "all units",
    pattern: str = ".*",
    is_folded: bool = False,
    scale: Optional[Scale] = None,
) -> Union[Figure, Missing]:
    """Draw the languages x languages heat map of the units that ``pattern`` matches.

    Args:
        similarity: of one statistics file.
        what: those units in words, for title and file name.
        pattern: a regular expression for module paths.
        is_folded: whether the page shows it only when asked to.
        scale: of the colours, where maps are compared; by default one of this map's values.

    Raises:
        OptionError: when the pattern is no regular expression.
    """
    title = f"Similarity of languages, {what}"
    if not similarity.pairs:
        return Missing(title, "one language alone has nothing to be similar to")
    known = similarity.statistics.units
    if not matching(pattern, known):
        return Missing(title, f"none of the {len(known)} units recorded matches as a whole")
    cosine = similarity.of_pairs(pattern)
    if np.isnan(cosine.value).all():
        return Missing(title, "no cosine is defined: gradients are zero, or nothing but noise")
    family = families_of(similarity.statistics.languages)
    rows: List[Tuple[Any, ...]] = [
        (one, other, family.get(one), family.get(other), float(value), float(low), float(high))
        for (one, other), value, low, high in zip(similarity.pairs, *cosine)
    ]
    scale = scale or scale_of(cosine.value)
    caption = (
        "Cosine of the languages' gradients, the mean over the units; languages in the order of "
        "the dendrogram beside (average linkage on 1 - cosine). In brackets: values whose 95 % "
        f"interval includes zero.{scale.in_words} {similarity.source}"
    )
    table = Table(HEADER, rows)
    languages = similarity.statistics.languages
    slug = re.sub(r"\W+", "-", what)[:_LONGEST].strip("-")
    name = "languages" if pattern == ".*" else f"languages-{slug}"
    draw = partial(_draw, languages, family, table, scale)
    return Figure(name, title, caption, table, draw, is_folded)


def tree_of(matrix: Floats) -> Floats:
    """Return scipy's linkage matrix of languages with these cosines, undefined ones being 0.

    Args:
        matrix: `[languages, languages]`, at least two.
    """
    distances = squareform(1.0 - np.nan_to_num(matrix), checks=False)
    return np.asarray(linkage(distances, "average", optimal_ordering=True))


def language_order(matrix: Floats) -> List[int]:
    """Return the languages' places in the order of the dendrogram."""
    if len(matrix) < 2:
        return list(range(len(matrix)))
    return list(dendrogram(tree_of(matrix), no_plot=True)["leaves"])


DRAWING = Drawing("languages", SIMILARITY, 30, lambda seen: [languages_figure(seen.similarity)])


def _draw(languages: Sequence[str], family: Dict[str, str], table: Table, scale: Scale) -> Any:
    count = len(languages)
    place = {language: index for index, language in enumerate(languages)}
    values, unsure = np.full((count, count), np.nan), np.zeros((count, count), dtype=bool)
    for one, other, _, _, value, low, high in table.rows:
        for cell in ((place[one], place[other]), (place[other], place[one])):
            values[cell], unsure[cell] = value, low <= 0 <= high
    whole = np.where(np.eye(count, dtype=bool), 1.0, values)
    size = 1.2 + 0.36 * count if count <= 20 else 2.4 + 0.2 * count
    figure = new_figure(size * 1.35 + 1.2, size + 0.6)
    left, right = figure.subplots(1, 2, width_ratios=[1, 4])
    tree = dendrogram(
        tree_of(whole), ax=left, orientation="left", no_labels=True, color_threshold=0,
        above_threshold_color="#444444",
    )  # fmt: skip
    order = tree["leaves"]
    left.invert_yaxis()
    left.set_xlabel("1 - cosine")
    left.spines["left"].set_visible(False)
    left.set_yticks([])
    cells = np.ix_(order, order)
    image = draw_cells(right, values[cells], scale, unsure[cells])
    ticks, ordered = np.arange(count) + 0.5, [languages[index] for index in order]
    crowded = count > 12 or max(map(len, languages)) > 4
    right.set_xticks(ticks, ordered, rotation=90 if crowded else 0)
    right.set_yticks(ticks, ordered)
    right.yaxis.tick_right()
    _mark_families(figure, right, ordered, family)
    ends = "both" if scale.beyond else "neither"
    figure.colorbar(image, ax=right, label="mean cosine", shrink=0.7, pad=0.06, extend=ends)
    return figure


def _mark_families(figure: Any, panel: Any, ordered: Sequence[str], family: Dict[str, str]) -> None:
    """Draw a strip of the families' colours above the columns, hatched where colours repeat."""
    from matplotlib.patches import Patch, Rectangle

    known = sorted({family[language] for language in ordered if language in family})
    if not known:
        return
    looks: Dict[str, Dict[str, Any]] = {
        name: {
            "facecolor": PALETTE[index % len(PALETTE)],
            "hatch": _HATCHES[index // len(PALETTE) % len(_HATCHES)],
            "edgecolor": "white",
            "lw": 0,
        }
        for index, name in enumerate(known)
    }
    height = 0.03 * len(ordered)
    for column, language in enumerate(ordered):
        if language in family:
            look = looks[family[language]]
            panel.add_patch(Rectangle((column, -1.5 * height), 1, height, clip_on=False, **look))
    handles = [Patch(label=name, **look) for name, look in looks.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
