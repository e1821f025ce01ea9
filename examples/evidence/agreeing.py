"""How well scores agree with what was measured: rank correlations, seed by seed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Dict, Mapping, NamedTuple, Sequence

import numpy as np
from scipy import stats

Worth = Dict[str, Dict[int, float]]
"""What was tried -> seed -> how much lower the loss is."""


class Agreement(NamedTuple):
    """Rank correlation (Spearman's) of a score with the worth, its 95 % interval by Student's t."""

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        if self.seeds < 2:
            return f"{self.mean:+.2f}"
        return f"{self.mean:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def mean_loss(numbers: Mapping[str, float]) -> float:
    """Return the mean of the languages' losses, of what a validation logged.

    Of the single ones, as the mean is there to three digits only.
    """
    own = [
        value for key, value in numbers.items() if key.startswith("loss_") and key != "loss_average"
    ]
    return float(np.mean(own))


def loss_in(path: Path, subset: str) -> float:
    """Return the last loss on a subset, of a file that ``fairseq-gist losses`` wrote."""
    last = json.loads(path.read_text(encoding="utf-8"))["subsets"][subset]["last"]
    return mean_loss(last)


def agreement(score: Mapping[str, float], worth: Worth, per: Mapping[str, float]) -> Agreement:
    """Return how well a score ranks what was tried, seed by seed.

    Args:
        score: of each; NaN where there is none.
        worth: of each, by seed.
        per: what each worth is divided by, such as parameters; empty: nothing.
    """
    values = []
    for seed in sorted({seed for own in worth.values() for seed in own}):
        names = [name for name in worth if seed in worth[name] and np.isfinite(score[name])]
        if len(names) > 2:
            gained = [worth[name][seed] / per.get(name, 1.0) for name in names]
            values.append(rank_correlation([score[name] for name in names], gained))
    return interval(values)


def reliability(worth: Worth) -> Agreement:
    """Return the rank correlation between one seed's worths and another's.

    Where it is low no score can agree much better.
    """
    seeds = sorted({seed for own in worth.values() for seed in own})
    values = []
    for index, one in enumerate(seeds):
        for other in seeds[index + 1 :]:
            names = [name for name, own in worth.items() if one in own and other in own]
            if len(names) > 2:
                first, second = ([worth[name][seed] for name in names] for seed in (one, other))
                values.append(rank_correlation(first, second))
    return interval(values)


def chance(name: str) -> float:
    """Return a number from 0 to 1 that nothing but the name decides."""
    return int(hashlib.sha256(name.encode("utf-8")).hexdigest()[:8], 16) / 2**32


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's; NaN where one of the two is the same everywhere."""
    if min(np.ptp(one), np.ptp(other)) == 0:
        return float("nan")
    return float(stats.spearmanr(one, other)[0])


def interval(values: Sequence[float]) -> Agreement:
    """Return mean and interval of the finite ones of ``values``, one a seed."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        mean = float(known[0]) if len(known) else float("nan")
        return Agreement(mean, float("nan"), float("nan"), len(known))
    half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    mean = float(known.mean())
    return Agreement(mean, max(mean - half, -1.0), min(mean + half, 1.0), len(known))


def best_first(agreement: Mapping[str, float]) -> float:
    """Return what agreements, as dictionaries, are sorted by: those that aren't known come last."""
    mean = agreement["mean"]
    return -mean if np.isfinite(mean) else float("inf")
