"""Similarity of gradients among fairseq's metrics, and so in its log, TensorBoard and W&B."""

from __future__ import annotations

import numpy as np
from fairseq.logging import metrics

from fairseq_gist.statistics import GradientStatistics

__all__ = ["log_similarity"]


def log_similarity(statistics: GradientStatistics) -> None:
    """Log the cosine of each pair of languages, averaged over units, and their mean ``cos``."""
    cosines = statistics.cosines()
    above = np.triu_indices(len(statistics.languages), k=1)
    pairs = cosines[:, above[0], above[1]]
    if np.isnan(pairs).all():
        return
    metrics.log_scalar("cos", float(np.nanmean(pairs)), weight=1, round=3)
    for one, other, values in zip(above[0], above[1], pairs.T):
        if not np.isnan(values).all():
            name = f"cos_{statistics.languages[one]}_{statistics.languages[other]}"
            metrics.log_scalar(name, float(np.nanmean(values)), weight=1, round=3)
