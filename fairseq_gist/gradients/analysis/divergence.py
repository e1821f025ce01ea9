"""How much more alike a language's gradients are to themselves than to the other languages'.

Sun & Nakamura (2026) allocate capacity by delta = S_self - S_cross: S_self is the mean cosine
among the gradients of one language, S_cross that between languages. Here a gradient is never
compared with itself, which would add about (1 - s)/n to delta, nor with one of the same chunk:
what two languages have in common because they say the same sentences is no agreement either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.gradients.analysis.permutation import p_values, permuted_members
from fairseq_gist.gradients.analysis.probes import UnitProbes
from fairseq_gist.gradients.jackknife import delete_one_chunk
from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["Divergence", "divergence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Divergence:
    """Self- and cross-similarity of the languages on one unit.

    Arrays `[languages]` are NaN for a language with a zero gradient, which has no cosine.

    Attributes:
        unit: module path.
        languages: names.
        self_similarity: mean cosine between the chunks of each language, `[languages]`.
        cross_similarity: mean cosine of each language with the others, `[languages]`.
        delta: mean over the languages of their self-similarity, minus mean over pairs of languages
            of their cross-similarity.
        interval: of ``delta``, from the jackknife over chunks.
        p_value: how often delta is as large when the languages are permuted within chunks.
        language_intervals: of :attr:`language_delta`, `[languages, 2]`.
        language_p_values: as ``p_value``, of :attr:`language_delta`, `[languages]`.
    """

    unit: str
    languages: Tuple[str, ...]
    self_similarity: Floats
    cross_similarity: Floats
    delta: float
    interval: Tuple[float, float]
    p_value: float
    language_intervals: Floats
    language_p_values: Floats

    @property
    def language_delta(self) -> Floats:
        """Self-similarity minus cross-similarity of each language, `[languages]`."""
        return self.self_similarity - self.cross_similarity

    @property
    def relative(self) -> float:
        """Delta as a share of the mean self-similarity; NaN where that isn't positive.

        Longer chunks have less noise, and raise self-similarity, cross-similarity and delta in
        proportion; not this. For gradients of equal noise it is 1 - the debiased cosine.
        """
        mean = float(np.nanmean(self.self_similarity)) if np.isfinite(self.delta) else np.nan
        return self.delta / mean if mean > 0 else float("nan")


def divergence(
    statistics: GradientStatistics,
    unit: str,
    permutations: int = 999,
    seed: int = 0,
    confidence: float = 0.95,
) -> Divergence:
    """Return self- and cross-similarity on ``unit``, their difference and how sure it is.

    Gradients are scaled to length 1 first, as in the paper; each language, and each pair of
    languages, weighs the same. The null hypothesis of the p-value is that all languages have the
    same distribution of gradients in a chunk; it counts larger differences only.

    With one language, or one chunk a language, delta is NaN; with fewer than three chunks its
    interval.

    Args:
        statistics: with the unit.
        unit: module path.
        permutations: drawn for the p-values.
        seed: of the permutations.
        confidence: of the intervals.

    Raises:
        StatisticsError: when the unit was not recorded.
    """
    every = UnitProbes.of(statistics, unit)
    used = np.flatnonzero(every.has_gradient())
    probes = every.only(used.tolist()).unit_length()
    found = _figures(probes.products())
    jackknife = delete_one_chunk(
        probes.chunks, lambda kept: _figures(probes.keeping(kept).products())[:, -1], confidence
    )
    members = permuted_members(probes, permutations, np.random.default_rng(seed))
    p = p_values(found[:, -1], _figures(probes.products_as(members))[..., -1])

    whole = np.full((len(every.languages), 5), np.nan)
    whole[used] = np.column_stack([found[:-1, :2], jackknife.low[:-1], jackknife.high[:-1], p[:-1]])
    return Divergence(
        unit=unit,
        languages=every.languages,
        self_similarity=whole[:, 0],
        cross_similarity=whole[:, 1],
        delta=float(found[-1, 2]),
        interval=(float(jackknife.low[-1]), float(jackknife.high[-1])),
        p_value=float(p[-1]),
        language_intervals=whole[:, 2:4],
        language_p_values=whole[:, 4],
    )


def _figures(products: Floats) -> Floats:
    """Return self, cross and delta of each language, and in the last row of all of them.

    Args:
        products: mean cosines, `[..., languages, languages]`.

    Returns:
        `[..., languages + 1, 3]`.
    """
    count = products.shape[-1]
    own = np.diagonal(products, axis1=-2, axis2=-1)
    others = (products.sum(axis=-1) - own) / (count - 1) if count > 1 else np.full_like(own, np.nan)
    rows = np.stack([own, others, own - others], axis=-1)
    mean = rows.mean(axis=-2, keepdims=True) if count else np.full((*rows.shape[:-2], 1, 3), np.nan)
    return np.concatenate([rows, mean], axis=-2)
