"""The probes of one unit, ready for an analysis: chosen, scaled, averaged over pairs of chunks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence, Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["UnitProbes"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class UnitProbes:
    """The Gram matrix of one unit and what its probes are of.

    Attributes:
        languages: names, in the order of the statistics.
        gram: inner products, `[probes, probes]`.
        labels: index into ``languages`` of each probe, `[probes]`.
        chunks: chunk of each probe, `[probes]`.
    """

    languages: Tuple[str, ...]
    gram: Floats
    labels: Indices
    chunks: Indices

    @classmethod
    def of(cls, statistics: GradientStatistics, unit: str) -> UnitProbes:
        """Return the probes of ``unit``.

        Raises:
            StatisticsError: when it was not recorded.
        """
        own = statistics.select([unit])
        return cls(own.languages, own.gram[0], own.probe_languages, own.probe_chunks)

    @property
    def lengths(self) -> Floats:
        """Length of each probe, `[probes]`."""
        return np.sqrt(np.maximum(np.diagonal(self.gram), 0.0))

    @property
    def chunk_counts(self) -> Indices:
        """Number of different chunks of each language, `[languages]`."""
        counts = [len(set(self.chunks[self.labels == own])) for own in range(len(self.languages))]
        return np.array(counts, dtype=np.int64)

    @property
    def members(self) -> Floats:
        """1 where a probe is of a language, else 0, `[languages, probes]`."""
        every = np.arange(len(self.languages))[:, None]
        members: Floats = (self.labels == every).astype(np.float64)
        return members

    @property
    def across(self) -> Floats:
        """1 where two probes are of different chunks, else 0, `[probes, probes]`."""
        across: Floats = (self.chunks[:, None] != self.chunks[None, :]).astype(np.float64)
        return across

    def has_gradient(self) -> NDArray[np.bool_]:
        """Return which languages have no zero among their probes, `[languages]`."""
        zero = self.labels[self.lengths == 0]
        return ~np.isin(np.arange(len(self.languages)), zero)

    def unit_length(self) -> UnitProbes:
        """Return the probes scaled to length 1; zeros stay zeros."""
        lengths = self.lengths
        return self.scaled(np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0))

    def scaled(self, factors: Floats) -> UnitProbes:
        """Return every probe times its factor, `[probes]`."""
        return replace(self, gram=self.gram * factors[:, None] * factors[None, :])

    def only(self, languages: Sequence[int]) -> UnitProbes:
        """Return the probes of some languages, given by their indices in ascending order."""
        kept = np.flatnonzero(np.isin(self.labels, languages))
        return UnitProbes(
            languages=tuple(self.languages[own] for own in languages),
            gram=self.gram[np.ix_(kept, kept)],
            labels=np.searchsorted(np.array(languages, dtype=np.int64), self.labels[kept]),
            chunks=self.chunks[kept],
        )

    def keeping(self, kept: NDArray[np.bool_]) -> UnitProbes:
        """Return the probes for which ``kept`` is true; no language is dropped."""
        return replace(
            self,
            gram=self.gram[np.ix_(kept, kept)],
            labels=self.labels[kept],
            chunks=self.chunks[kept],
        )

    def products(self) -> Floats:
        """Return the mean inner products over pairs of different chunks, `[languages, languages]`.

        NaN where two languages have no such pair.
        """
        products: Floats = self.products_as(self.members[None])[0]
        return products

    def products_as(self, members: Floats) -> Floats:
        """Return what :meth:`products` would be if probes were of other languages.

        Args:
            members: `[n, languages, probes]`, each like :attr:`members` with the languages of the
                probes of a chunk exchanged.

        Returns:
            `[n, languages, languages]`.
        """
        across = self.across
        counts = self.members @ across @ self.members.T
        sums: Floats = members @ (self.gram * across) @ members.transpose(0, 2, 1)
        means: Floats = sums / np.where(counts > 0, counts, np.nan)
        return means
