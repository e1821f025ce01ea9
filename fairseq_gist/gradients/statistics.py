"""Gradient statistics: how the gradients of the languages lie to one another, with their noise.

A *probe* is one gradient vector that is compared: that of one language on one chunk of data,
normalised per target token. The inner products between all the probes of a unit (their Gram
matrix) are enough for every cosine, and several chunks a language tell signal from noise.
With many languages and units the Gram matrices fill gigabytes, so whatever is computed from them
goes unit by unit or language by language.
``docs/statistics-format.md`` describes the file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import StatisticsError, shortened
from fairseq_gist.gradients.neurons import NeuronGrams, from_arrays, to_arrays
from fairseq_gist.gradients.statistics_file import read_arrays, write_arrays
from fairseq_gist.sharing.low_rank import Projection

__all__ = ["GradientStatistics"]

Floats = NDArray[np.float64]

_LONGEST = 500
"""Characters of an error, whatever names a file has in it."""

_KINDS = {"f": "floats", "i": "signed integers"}


@dataclass(frozen=True, eq=False)
class GradientStatistics:
    """The Gram matrix of the probes of every unit.

    Attributes:
        languages: in alphabetical order.
        units: module paths.
        unit_parameters: parameters of one copy of each unit, `[units]`.
        shared_parameters: parameters of the whole model when everything is shared.
        gram: inner products of the probes, `[units, probes, probes]`.
        probe_languages: index into ``languages`` of each probe, `[probes]`.
        probe_chunks: which chunk of the data each probe saw, `[probes]`.
        probe_tokens: target tokens behind each probe, `[probes]`.
        provenance: where the numbers came from; free, JSON-like.
        neurons: those of feed-forward blocks, where they were recorded, by the unit that
            is the block's first projection.
        unit_widths: features that each unit reads and makes, `[units, 2]`; 0 and 0 of those that
            are no projections which low-rank differences can be added to. None where nobody noted
            them.

    Raises:
        StatisticsError: when the arrays don't belong together, a number is not finite, or a
            language has no probe.
    """

    languages: Tuple[str, ...]
    units: Tuple[str, ...]
    unit_parameters: NDArray[np.int64]
    shared_parameters: int
    gram: Floats
    probe_languages: NDArray[np.int64]
    probe_chunks: NDArray[np.int64]
    probe_tokens: Floats
    provenance: Mapping[str, Any] = field(default_factory=dict)
    neurons: Mapping[str, NeuronGrams] = field(default_factory=dict)
    unit_widths: Optional[NDArray[np.int64]] = None

    def __post_init__(self) -> None:
        self._check_names()
        self._check_arrays()
        sizes = dict(zip(self.units, self.unit_parameters.tolist()))
        for first, own in self.neurons.items():
            own.check(first, sizes, len(self.probe_languages))
        for unit, own in zip(self.units, self.gram):
            if not np.isfinite(own).all():
                raise StatisticsError(
                    f"gradient statistics: unit '{unit}' has a gradient that isn't finite"
                )
        recorded = set(self.probe_languages.tolist())
        unknown = recorded - set(range(len(self.languages)))
        if unknown:
            raise StatisticsError(
                f"gradient statistics: probe_languages has {min(unknown)}, which is none of the "
                f"{len(self.languages)} languages"
            )
        absent = set(range(len(self.languages))) - recorded
        if absent:
            raise StatisticsError(
                f"gradient statistics: language '{self.languages[min(absent)]}' has no gradient; "
                "its rows were absent from the data that was recorded"
            )

    def _check_names(self) -> None:
        if not self.units or not self.languages:
            raise StatisticsError(
                f"gradient statistics: expected units and languages, found {len(self.units)} and "
                f"{len(self.languages)}"
            )
        if list(self.languages) != sorted(set(self.languages)):
            raise StatisticsError(
                "gradient statistics: languages should be in alphabetical order, each once; found "
                f"{', '.join(self.languages)}"
            )
        twice = [unit for unit, times in Counter(self.units).items() if times > 1]
        if twice:
            raise StatisticsError(f"gradient statistics: unit '{twice[0]}' is listed twice")

    def _check_arrays(self) -> None:
        probes = len(self.probe_languages)
        expected = {
            "gram": ("f", (len(self.units), probes, probes)),
            "unit_parameters": ("i", (len(self.units),)),
            "probe_languages": ("i", (probes,)),
            "probe_chunks": ("i", (probes,)),
            "probe_tokens": ("f", (probes,)),
        }
        if self.unit_widths is not None:
            expected["unit_widths"] = ("i", (len(self.units), 2))
        for name, (kind, shape) in expected.items():
            found = getattr(self, name)
            if found.shape != shape or found.dtype.kind != kind:
                raise StatisticsError(
                    f"gradient statistics: {name} should be {_KINDS[kind]} of shape {shape}, is "
                    f"{found.dtype} of shape {found.shape}"
                )

    @property
    def projections(self) -> Dict[str, Projection]:
        """The units that low-rank differences can be added to, as far as anybody noted them."""
        if self.unit_widths is None:
            return {}
        widths = zip(self.units, self.unit_widths.tolist())
        return {unit: Projection(*own) for unit, own in widths if min(own) > 0}

    @property
    def chunks_per_language(self) -> Dict[str, int]:
        """Number of probes of each language."""
        counts = np.bincount(self.probe_languages, minlength=len(self.languages))
        return dict(zip(self.languages, counts.tolist()))

    @property
    def signature(self) -> str:
        """Return a short fingerprint of all numbers and names; provenance does not count."""
        names = {"languages": self.languages, "units": self.units, "shared": self.shared_parameters}
        digest = hashlib.sha256(json.dumps(names, separators=(",", ":")).encode())
        for numbers in (
            self.unit_parameters,
            self.probe_languages,
            self.probe_chunks,
            self.probe_tokens,
            self.gram,
        ):
            digest.update(_bytes(numbers))
        for first, own in sorted(self.neurons.items()):
            digest.update(f"{first} {own.second}".encode())
            digest.update(_bytes(own.gram))
        return digest.hexdigest()[:16]

    def products(self, debiased: bool, without_chunk: Optional[int] = None) -> Floats:
        """Return the mean inner products between languages, `[units, languages, languages]`.

        With ``debiased``, products of two probes of the same chunk are left out, so that noise
        that the two share (a probe with itself, or two languages of the same utterances) does not
        count as agreement. Probes of ``without_chunk`` are left out too. A language pair with no
        product left is NaN.
        """
        member = (self.probe_languages[None, :] == np.arange(len(self.languages))[:, None]).astype(
            np.float64
        )
        if without_chunk is not None:
            member *= self.probe_chunks != without_chunk
        allowed = np.ones((len(self.probe_chunks),) * 2)
        if debiased:
            allowed = (self.probe_chunks[:, None] != self.probe_chunks[None, :]).astype(np.float64)
        counts = member @ allowed @ member.T
        products = np.empty((len(self.units), *counts.shape))
        for own, mean in zip(self.gram, products):
            mean[...] = member @ (own * allowed) @ member.T
        products /= np.where(counts > 0, counts, np.nan)
        return products

    def cosines(
        self, debiased: bool = True, without_chunk: Optional[int] = None, clipped: bool = True
    ) -> Floats:
        """Return the cosines of the languages' gradients, `[units, languages, languages]`.

        Probes of ``without_chunk`` are left out. NaN where it is not defined: a zero gradient, or
        (debiased) one whose chunks agree no better than noise. The diagonal is 1 where it is
        defined. Debiased values can pass 1 by noise; ``clipped`` they are in [-1, 1].
        """
        products = self.products(debiased, without_chunk)
        squares = np.einsum("ujj->uj", products)
        norms = np.sqrt(np.where(squares > 0, squares, np.nan))
        products /= norms[:, :, None] * norms[:, None, :]
        return np.clip(products, -1.0, 1.0, out=products) if clipped else products

    def self_similarity(self) -> Floats:
        """Return the mean cosine between different chunks of one language, `[units, languages]`.

        Near 1: the chunks agree, the gradient is signal; near 0: mostly noise. NaN with one chunk.
        """
        result = np.full((len(self.units), len(self.languages)), np.nan)
        for index in range(len(self.languages)):
            probes = np.flatnonzero(self.probe_languages == index)
            if len(probes) > 1:
                products = self.gram[np.ix_(np.arange(len(self.units)), probes, probes)]
                norms = np.sqrt(np.einsum("upp->up", products))
                with np.errstate(invalid="ignore", divide="ignore"):
                    cosines = products / (norms[:, :, None] * norms[:, None, :])
                off_diagonal = ~np.eye(len(probes), dtype=bool)
                result[:, index] = cosines[:, off_diagonal].mean(axis=1)
        return result

    def has_gradient(self) -> NDArray[np.bool_]:
        """Return on which units any language has a gradient at all, `[units]`."""
        result: NDArray[np.bool_] = np.einsum("upp->up", self.gram).any(axis=1)
        return result

    def is_signal(self) -> NDArray[np.bool_]:
        """Return which gradients can be told from noise, `[units, languages]`.

        Those whose inner products between different chunks are positive on average by more than
        two standard errors. With two chunks there is one product, and its sign decides.
        """
        result = np.zeros((len(self.units), len(self.languages)), dtype=bool)
        for index in range(len(self.languages)):
            probes = np.flatnonzero(self.probe_languages == index)
            one, other = np.triu_indices(len(probes), k=1)
            products = self.gram[:, probes[one], probes[other]]
            if len(one) == 0:
                continue
            error = products.std(axis=1, ddof=1) / np.sqrt(len(one)) if len(one) > 1 else 0.0
            result[:, index] = products.mean(axis=1) > 2 * error
        return result

    def select(self, units: Sequence[str]) -> GradientStatistics:
        """Return the statistics of ``units`` alone, in that order.

        Raises:
            StatisticsError: when one of them was not recorded.
        """
        chosen = self._positions(units)
        return GradientStatistics(
            languages=self.languages,
            units=tuple(units),
            unit_parameters=self.unit_parameters[chosen],
            shared_parameters=self.shared_parameters,
            gram=self.gram[chosen],
            probe_languages=self.probe_languages,
            probe_chunks=self.probe_chunks,
            probe_tokens=self.probe_tokens,
            provenance=self.provenance,
            neurons={
                first: own
                for first, own in self.neurons.items()
                if first in units and own.second in units
            },
            unit_widths=None if self.unit_widths is None else self.unit_widths[chosen],
        )

    def _positions(self, units: Sequence[str]) -> List[int]:
        position = {unit: index for index, unit in enumerate(self.units)}
        missing = [unit for unit in units if unit not in position]
        if missing:
            raise StatisticsError(
                f"the gradient statistics are for other units: they lack '{missing[0]}' "
                f"({len(missing)} of the {len(units)} asked for are missing); they have "
                + (f"'{self.units[0]}' to '{self.units[-1]}'" if self.units else "none")
            )
        return [position[unit] for unit in units]

    def merged(self, units: Mapping[str, Sequence[str]]) -> GradientStatistics:
        """Return statistics of larger units, each of several of these; without neurons.

        The gradient of such a unit is those of its parts one after the other, and the inner
        products of concatenated vectors are the sums of their parts'.

        Args:
            units: name of each larger unit -> the units it is made of.

        Raises:
            StatisticsError: when one of them was not recorded.
        """
        parts = [self._positions(own) for own in units.values()]
        gram = np.zeros((len(parts), *self.gram.shape[1:]))
        for own, positions in zip(gram, parts):
            for position in positions:
                own += self.gram[position]
        sizes = [int(self.unit_parameters[positions].sum()) for positions in parts]
        return GradientStatistics(
            languages=self.languages,
            units=tuple(units),
            unit_parameters=np.array(sizes, dtype=np.int64),
            shared_parameters=self.shared_parameters,
            gram=gram,
            probe_languages=self.probe_languages,
            probe_chunks=self.probe_chunks,
            probe_tokens=self.probe_tokens,
            provenance=self.provenance,
        )

    def save(self, path: Union[str, Path]) -> None:
        """Write one ``.npz`` file, whole or not at all."""
        arrays: Dict[str, Any] = {
            "languages": np.array(self.languages, dtype=np.str_),
            "units": np.array(self.units, dtype=np.str_),
            "unit_parameters": self.unit_parameters,
            "shared_parameters": np.int64(self.shared_parameters),
            "gram": self.gram,
            "probe_languages": self.probe_languages,
            "probe_chunks": self.probe_chunks,
            "probe_tokens": self.probe_tokens,
            "provenance": np.array(json.dumps(dict(self.provenance))),
            **to_arrays(self.neurons),
        }
        if self.unit_widths is not None:
            arrays["unit_widths"] = self.unit_widths
        write_arrays(path, arrays)

    @classmethod
    def load(cls, path: Union[str, Path]) -> GradientStatistics:
        """Read a statistics file.

        Raises:
            StatisticsError: when the file can't be read or is not of a known layout.
        """
        arrays = read_arrays(path)
        try:
            provenance = json.loads(str(arrays["provenance"]))
            if not isinstance(provenance, dict):
                raise StatisticsError(f"provenance must be a JSON object, found {provenance!r}")
            return cls(
                languages=tuple(str(language) for language in arrays["languages"]),
                units=tuple(str(unit) for unit in arrays["units"]),
                unit_parameters=arrays["unit_parameters"],
                shared_parameters=int(arrays["shared_parameters"]),
                gram=arrays["gram"],
                probe_languages=arrays["probe_languages"],
                probe_chunks=arrays["probe_chunks"],
                probe_tokens=arrays["probe_tokens"],
                provenance=provenance,
                neurons=from_arrays(arrays),
                unit_widths=arrays.get("unit_widths"),
            )
        except KeyError as error:
            raise StatisticsError(f"{path}: the array {error} is missing") from None
        except Exception as error:  # arrays may be of any kind, and of any shape
            raise StatisticsError(f"{path}: {shortened(error, _LONGEST)}") from None


def _bytes(numbers: NDArray[Any]) -> bytes:
    return numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
