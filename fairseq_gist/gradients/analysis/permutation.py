"""Permutation of languages within chunks, and the p-value that comes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.gradients.analysis.probes import UnitProbes

__all__ = ["DIGITS", "p_values", "permuted_members"]

Floats = NDArray[np.float64]

DIGITS = 10
"""Significant digits to which a permuted statistic that equals the observed one has to agree."""


def permuted_members(probes: UnitProbes, count: int, generator: np.random.Generator) -> Floats:
    """Return who might have been who if all languages had the same distribution of gradients.

    The languages of the probes of one chunk change places, in each chunk anew: what a chunk has in
    common stays in it.

    Returns:
        1 where a probe is of a language, else 0, `[count, languages, probes]`.
    """
    labels = np.empty((count, len(probes.labels)), dtype=np.int64)
    for chunk in np.unique(probes.chunks):
        own = np.flatnonzero(probes.chunks == chunk)
        labels[:, own] = probes.labels[own][generator.random((count, len(own))).argsort(axis=1)]
    every = np.arange(len(probes.languages))[:, None]
    members: Floats = (labels[:, None, :] == every).astype(np.float64)
    return members


def p_values(observed: Floats, drawn: Floats) -> Floats:
    """Return the share of draws at least as large as what was observed, which counts as one.

    (1 + #{drawn >= observed}) / (1 + #drawn), which is never 0 and keeps the level exactly where
    the draws are exchangeable with the observation (Phipson & Smyth 2010). NaN where the
    observation is; draws that are NaN count as large.

    Args:
        observed: of any shape.
        drawn: `[draws, *shape]`.
    """
    slack = 10.0**-DIGITS * np.abs(observed)
    smaller = (drawn < observed - slack).sum(axis=0)
    result = (1.0 + len(drawn) - smaller) / (1.0 + len(drawn))
    return np.where(np.isnan(observed), np.nan, result)
