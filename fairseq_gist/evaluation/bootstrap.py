"""Paired bootstrap over sentences: could the difference between two systems be chance?

After Koehn (2004), "Statistical Significance Tests for Machine Translation Evaluation": draw as
many sentences as there are, with replacement, score both systems on what was drawn, many times.
Here sentences are drawn within each language, the same ones for all systems, and what is compared
is the average over the languages. A system's seeds are taken as given: its resampled score is
their mean.
"""

from __future__ import annotations

import itertools
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairseq_gist.evaluation.sentences import METRICS, SentenceStatistics, corpus_score

__all__ = ["Difference", "compare", "interval", "resampled_averages", "resampled_scores"]

Floats = NDArray[np.float64]
Seeds = Sequence[Mapping[str, SentenceStatistics]]
"""The sentence statistics of a system, by seed and language."""

_CELLS = 2_000_000
"""Resamples times sentences that are drawn at once: 16 MB an array."""


class Difference(NamedTuple):
    """By how much one system's average is above another's, and how sure that is."""

    value: float
    p: float
    low: float
    high: float
    """The ends of the interval that holds the middle 95 % of the resampled differences."""


def resampled_scores(
    systems: Sequence[Seeds], samples: int, seed: int
) -> Dict[str, List[Dict[str, Floats]]]:
    """Return by metric each system's score in every language, its seeds' mean, on every resample.

    All systems have the same languages and sentences. The draws of the first language are those
    that sacreBLEU makes with the same seed.

    Returns:
        metric -> by system, in the order given: language -> an array `[samples]`.
    """
    generator = np.random.default_rng(seed)
    languages = list(systems[0][0])
    scores: Dict[str, List[Dict[str, Floats]]] = {
        metric: [{language: np.zeros(samples) for language in languages} for _ in systems]
        for metric in METRICS
    }
    bar = tqdm(
        total=len(languages) * samples, desc="bootstrap", unit="resample", disable=None, delay=2
    )
    with bar:
        for language in languages:
            sentences = len(systems[0][0][language].bleu)
            start = 0
            for weights in _draws(generator, sentences, samples):
                stop = start + len(weights)
                for place, seeds in enumerate(systems):
                    for own, metric in itertools.product(seeds, METRICS):
                        found = _scores(weights, metric, own[language])
                        scores[metric][place][language][start:stop] += found / len(seeds)
                start = stop
                bar.update(len(weights))
    return scores


def resampled_averages(scores: Mapping[str, Floats]) -> Floats:
    """Return a system's plain mean over the languages on every resample, `[samples]`.

    Args:
        scores: of one metric and system, from :func:`resampled_scores`.
    """
    return np.asarray(np.mean(list(scores.values()), axis=0))


def interval(resampled: Floats) -> Tuple[float, float]:
    """Return the ends of the interval that holds the middle 95 % of the resampled scores."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def compare(value: float, resampled: Floats, other: Floats) -> Difference:
    """Judge the difference ``value`` by the two systems' resampled averages, `[samples]` each.

    The p-value is two-sided: with d the resampled differences, the share of resamples in which
    |d - mean(d)| reaches the absolute observed difference (Riezler and Maxwell 2005, "On Some
    Pitfalls in Automatic Evaluation and Significance Testing for MT", bootstrap test), one resample
    of that kind added. A tie counts as reached, so that equal outputs get p = 1.

    sacreBLEU takes the absolute values before it subtracts their mean. Far from zero all of them
    have one sign, so that is one tail of two, and its p about half of this one.
    """
    differences = resampled - other
    reached = int(np.sum(np.abs(differences - differences.mean()) >= abs(value)))
    return Difference(value, (reached + 1) / (len(differences) + 1), *interval(differences))


def _draws(generator: np.random.Generator, sentences: int, samples: int) -> Iterator[Floats]:
    """Give `[some samples, sentences]`: how often each sentence was drawn, a part at a time."""
    step = max(1, _CELLS // sentences)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = generator.choice(sentences, size=(rows, sentences), replace=True)
        drawn += sentences * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * sentences)
        yield counts.reshape(rows, sentences).astype(np.float64)


def _scores(weights: Floats, metric: str, statistics: SentenceStatistics) -> Floats:
    """Score every resample of one language of one system, `[resamples]`."""
    counts: NDArray[np.int32] = getattr(statistics, metric)
    # Whole numbers below 2^53: the products are exact, and BLAS is what makes this fast.
    sums = (weights @ counts.astype(np.float64)).astype(np.int64)
    return np.array([corpus_score(metric, row) for row in sums.tolist()])
