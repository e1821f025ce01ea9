"""Similarity of languages on parts of the model: units that were asked for, and every layer."""

from __future__ import annotations

import re
from typing import List, Union

import numpy as np

from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.figures.base import SIMILARITY, Drawing, SimilaritySeen
from fairseq_gist.report.figures.heat import scale_of
from fairseq_gist.report.figures.languages import languages_figure
from fairseq_gist.report.similarity import Similarity

__all__ = ["DRAWING"]


def _details(seen: SimilaritySeen) -> List[Union[Figure, Missing]]:
    asked = [
        languages_figure(seen.similarity, f"units {pattern}", pattern) for pattern in seen.units
    ]
    return [*asked, *_each_layer(seen.similarity)]


DRAWING = Drawing("language-details", SIMILARITY, 70, _details)


def _each_layer(similarity: Similarity) -> List[Union[Figure, Missing]]:
    """Return a folded heat map of languages for every layer, where there are several.

    They have one scale, so that one colour is one cosine in all of them.
    """
    paths = dict.fromkeys(p.layer_path for p in similarity.places if p.layer is not None)
    if len(paths) < 2 or not similarity.pairs:
        return []
    patterns = {path: rf"{re.escape(path)}\..*" for path in paths}
    scale = scale_of(np.array([similarity.of_pairs(own).value for own in patterns.values()]))
    return [
        languages_figure(similarity, path, own, is_folded=True, scale=scale)
        for path, own in patterns.items()
    ]
