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

from fairseq_gist.evaluation.metrics import Metric
from fairseq_gist.evaluation.scores import CorpusScores

__all__ = ["Difference", "compare", "interval", "resampled_averages", "resampled_scores"]

Floats = NDArray[np.float64]
Seeds = Sequence[CorpusScores]
"""The scores of a system, by seed, with the statistics that they follow from."""

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
    systems: Sequence[Seeds], metrics: Sequence[Metric], samples: int, seed: int
) -> Dict[str, List[Dict[str, Floats]]]:
    """Return by metric each system's score in every language, its seeds' mean, on every resample.

    All systems have the same languages and sentences. The draws of the first language are those
    that sacreBLEU makes with the same seed.

    Args:
        systems: each with its seeds.
        metrics: what all of them were scored by.
        samples: how many resamples.
        seed: of the draws.

    Returns:
        metric -> by system, in the order given: language -> an array `[samples]`.
    """
    generator = np.random.default_rng(seed)
    counts = {name: own.count for name, own in systems[0][0].sentences.items()}
    scores: Dict[str, List[Dict[str, Floats]]] = {
        metric.name: [{language: np.zeros(samples) for language in counts} for _ in systems]
        for metric in metrics
    }
    bar = tqdm(
        total=len(counts) * samples, desc="bootstrap", unit="resample", disable=None, delay=2
    )
    with bar:
        for language, sentences in counts.items():
            start = 0
            for weights in _draws(generator, sentences, samples):
                stop = start + len(weights)
                for place, seeds in enumerate(systems):
                    for own, metric in itertools.product(seeds, metrics):
                        statistics = own.by_metric[metric.name].statistics[language]
                        found = metric.corpus_scores(statistics, weights)
                        scores[metric.name][place][language][start:stop] += found / len(seeds)
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
