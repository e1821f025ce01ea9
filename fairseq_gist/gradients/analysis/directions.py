"""Which directions of the joint basis are common to the languages, and which some have alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from fairseq_gist.gradients.analysis.factorization import Factorization
from fairseq_gist.gradients.analysis.multiple import holm

__all__ = ["KINDS", "Directions", "directions"]

Floats = NDArray[np.float64]

KINDS = ("common", "conflict", "group", "own", "noise")
"""All languages go along a direction; some along it and some against; some; one; none."""


@dataclass(frozen=True, eq=False)
class Directions:
    """How the languages' gradients go along each component of a joint basis.

    Attributes:
        unit: module path.
        languages: names.
        means: mean coordinate of each language's chunks, `[components, languages]`.
        p_values: of a mean of 0, `[components, languages]`; NaN for a language of one chunk.
    """

    unit: str
    languages: Tuple[str, ...]
    means: Floats
    p_values: Floats

    def signs(self, level: float = 0.05, least: float = 0.25) -> NDArray[np.int64]:
        """Return 1 along, -1 against, 0 where it can't be told, `[components, languages]`.

        All the p-values of the unit are judged together by Holm's method (1979): with noise alone,
        a single sign that isn't 0 has a probability of about ``level``. A mean coordinate must also
        be ``least`` times the largest of any language in the component: with noise no component is
        exactly where it should be, and languages that another one is of go along it a little, and
        surely.
        """
        told = holm(self.p_values) <= level
        sizes = np.abs(self.means)
        large = sizes >= least * sizes.max(axis=1, keepdims=True, initial=0.0)
        return np.where(large & told, np.sign(self.means), 0.0).astype(np.int64)

    def kinds(self, level: float = 0.05, least: float = 0.25) -> Tuple[str, ...]:
        """Return what each component is by its :meth:`signs`, one of :data:`KINDS`."""
        return tuple(_kind(row) for row in self.signs(level, least))


def directions(factorization: Factorization) -> Directions:
    """Return how each language goes along each component, with Student's t over its chunks.

    A language's coordinates are averaged in each chunk. Under the null hypothesis that its gradient
    is noise as far as a component goes, coordinates of different chunks are as likely positive as
    negative. A coordinate below 1e-9 of the largest counts as 0; where all chunks agree exactly
    there is no error, and p is 0, or 1 if the mean is 0.

    The components are those of the singular value decomposition, at right angles to one another.
    Two groups of languages that share nothing and are equally strong have *any* two directions of
    their plane for components, such as the sum and the difference of theirs: a common one and one
    in conflict.
    """
    probes, coordinates = factorization.probes, factorization.coordinates
    shape = (coordinates.shape[1], len(probes.languages))
    means, p = np.zeros(shape), np.full(shape, np.nan)
    least = 1e-9 * np.abs(coordinates).max(initial=0.0)
    for language in range(shape[1]):
        own = probes.labels == language
        chunks = np.unique(probes.chunks[own])
        rows = np.array([coordinates[own & (probes.chunks == c)].mean(axis=0) for c in chunks])
        rows[np.abs(rows) <= least] = 0.0
        means[:, language] = rows.mean(axis=0)
        if len(chunks) > 1:
            p[:, language] = _p_values(rows, least)
    return Directions(factorization.unit, probes.languages, means, p)


def _p_values(rows: Floats, least: float) -> Floats:
    """Return the two-sided p-values of a mean of 0, of `[chunks, components]`."""
    count = len(rows)
    size = np.abs(rows.mean(axis=0))
    error = rows.std(axis=0, ddof=1) / np.sqrt(count)
    exact = error <= least
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * student.sf(size / error, count - 1)
    return np.where(exact, np.where(size > least, 0.0, 1.0), p)


def _kind(signs: NDArray[np.int64]) -> str:
    along, against = int((signs > 0).sum()), int((signs < 0).sum())
    if along and against:
        return "conflict"
    if along + against == len(signs) > 1:
        return "common"
    return {0: "noise", 1: "own"}.get(along + against, "group")
