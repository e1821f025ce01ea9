"""Mean cosines of gradients by layer, kind of unit and language pair, with their intervals."""

from __future__ import annotations

import warnings
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.architectures import recognise
from fairseq_gist.gradients.jackknife import CosineJackknife, Estimate
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.sharing.shape import Place, matching

__all__ = ["Part", "Similarity", "defined_mean"]

Floats = NDArray[np.float64]


class Part(NamedTuple):
    """The units of a layer, or of one kind in a layer, with their mean cosine over language pairs.

    Attributes:
        stack: ``encoder`` or ``decoder``.
        layer: counted from 0; None outside the layers.
        kind: kind of unit, such as ``self_attn.q_proj``; empty for a whole layer.
        places: of its units in the statistics.
        cosine: scalar.
    """

    stack: str
    layer: Optional[int]
    kind: str
    places: Tuple[int, ...]
    cosine: Estimate


class Similarity:
    """What one statistics file says.

    Args:
        label: its name in the report.
        statistics: its content.
    """

    def __init__(self, label: str, statistics: GradientStatistics) -> None:
        self.label, self.statistics = label, statistics
        self.jackknife = CosineJackknife(statistics)
        naming = recognise(statistics.units)
        self.places = [naming.place(unit) for unit in statistics.units]
        self.pairs: List[Tuple[str, str]] = [
            (one, other)
            for place, one in enumerate(statistics.languages)
            for other in statistics.languages[place + 1 :]
        ]
        self._above = np.triu_indices(len(statistics.languages), k=1)

    @property
    def source(self) -> str:
        """Where the numbers come from, in a phrase, with the signature."""
        about = self.statistics.provenance
        chunks = self.jackknife.chunks
        words = [
            f"gradients from {about['gradients_from']}" if "gradients_from" in about else "",
            f"update {about['update']:,}" if isinstance(about.get("update"), int) else "",
            f"{len(self.statistics.languages)} languages",
            f"{len(self.statistics.units)} units",
            f"{chunks} chunk" + "s" * (chunks != 1),
        ]
        listed = ", ".join(word for word in words if word)
        return f"{self.label} ({listed}); signature {self.statistics.signature}"

    def by_layer(self) -> List[Part]:
        """Return the layers in the order of the units, and units outside them on their own."""
        return self._parts(lambda place: (place.layer_path, ""))

    def by_kind(self) -> List[Part]:
        """Return the kinds of units in each layer."""
        return self._parts(lambda place: (place.layer_path, place.kind))

    def overall(self) -> Estimate:
        """Return the mean over all units and pairs."""
        return self._mean_of(range(len(self.places)))

    def difference(self, one: Part, other: Part) -> Estimate:
        """Return by how much the cosine of one part is above that of another, a scalar."""

        def summary(cosines: Floats) -> Floats:
            means = [defined_mean(self._of_pairs(cosines[list(p.places)])) for p in (one, other)]
            return means[0] - means[1]

        return self.jackknife.estimate(summary)

    def of_pairs(self, pattern: str = ".*") -> Estimate:
        """Return the mean over the units that a regular expression matches, `[pairs]`.

        Raises:
            OptionError: when it is no regular expression.
        """
        chosen = set(matching(pattern, self.statistics.units))
        places = [i for i, unit in enumerate(self.statistics.units) if unit in chosen]
        return self.jackknife.estimate(
            lambda cosines: defined_mean(self._of_pairs(cosines[places]), axis=0),
            is_mean=len(places) > 1,
        )

    def of_units_and_pairs(self) -> Estimate:
        """Return every single cosine, `[units, pairs]`."""
        return self.jackknife.estimate(self._of_pairs, is_mean=False)

    def matrix(self, values: Sequence[float]) -> Floats:
        """Return values of pairs as a matrix `[languages, languages]` with ones on its diagonal."""
        count = len(self.statistics.languages)
        matrix = np.eye(count)
        matrix[self._above] = values
        matrix.T[self._above] = values
        return matrix

    def _of_pairs(self, cosines: Floats) -> Floats:
        return cosines[:, self._above[0], self._above[1]]

    def _mean_of(self, places: Sequence[int]) -> Estimate:
        chosen = list(places)
        return self.jackknife.estimate(
            lambda cosines: defined_mean(self._of_pairs(cosines[chosen]))
        )

    def _parts(self, key_of: Callable[[Place], Tuple[str, str]]) -> List[Part]:
        members: Dict[Tuple[str, str], List[int]] = {}
        for index, place in enumerate(self.places):
            members.setdefault(key_of(place), []).append(index)
        parts = []
        for (_, kind), places in members.items():
            first = self.places[places[0]]
            outside = first.layer is None
            parts.append(
                Part(
                    first.stack,
                    first.layer,
                    first.kind if outside else kind,
                    tuple(places),
                    self._mean_of(places),
                )
            )
        return parts


def defined_mean(values: Floats, axis: Optional[int] = None) -> Floats:
    """Return the mean of what is defined, NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice", category=RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis), dtype=np.float64)
