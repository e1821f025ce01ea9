"""Similarity of gradients among fairseq's metrics, and so in its log, TensorBoard and W&B."""

from __future__ import annotations

from typing import Dict

import numpy as np
from fairseq.logging import metrics

from fairseq_gist.gradients.statistics import GradientStatistics

__all__ = ["SimilarityLog"]


class SimilarityLog:
    """Logs the latest similarities: the mean at every interval, language pairs at every epoch."""

    def __init__(self) -> None:
        self._mean: Dict[str, float] = {}
        self._pairs: Dict[str, float] = {}

    def update(self, statistics: GradientStatistics) -> None:
        """Take the cosines of ``statistics``, averaged over units, as the latest."""
        cosines = statistics.cosines()
        above = np.triu_indices(len(statistics.languages), k=1)
        pairs = cosines[:, above[0], above[1]]
        if np.isnan(pairs).all():
            return
        self._mean = {"cos": float(np.nanmean(pairs))}
        self._pairs = {
            f"cos_{statistics.languages[one]}_{statistics.languages[other]}": float(
                np.nanmean(values)
            )
            for one, other, values in zip(above[0], above[1], pairs.T)
            if not np.isnan(values).all()
        }

    def write(self) -> None:
        """Log the latest values; to be called every update, as fairseq clears its meters."""
        _log(self._mean)
        with metrics.aggregate("train", new_root=True):
            _log(self._pairs)


def _log(values: Dict[str, float]) -> None:
    for name, value in values.items():
        # weight 0: the value itself is shown, not an average over updates
        metrics.log_scalar(name, value, weight=0, round=3)
