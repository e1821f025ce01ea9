"""How often each row is seen in an epoch, for languages with more and with less data.

Languages are sampled at a temperature T: one with n rows has a share of the data proportional to
n^(1/T) (Arivazhagan et al., 2019, arXiv:1907.05019). T = 1 is the data as they are, T = infinity
gives all languages the same share.
"""

from __future__ import annotations

import math
from typing import Any, List, Optional, Sequence, Tuple, Union

import numpy as np

from fairseq_gist.errors import OptionError

__all__ = [
    "EpochSampling",
    "epoch_sampling",
    "repetitions",
    "rows_in_epoch",
    "sampling_shares",
    "temperature_of",
]

Numbers = Union[Sequence[int], np.ndarray]


def temperature_of(option: Optional[float], alpha: Any) -> float:
    """Return the temperature that ``--sampling-temperature`` or the YAML's ``sampling_alpha`` says.

    Args:
        option: the option's value, which decides; None where it was not given.
        alpha: ``sampling_alpha`` of the data configuration, one over the temperature.

    Raises:
        OptionError: for a temperature below 1, which would make uneven data more uneven.
    """
    if option is not None:
        if not option >= 1:
            raise OptionError(
                "--sampling-temperature: expected 1 (the data as they are) or more, up to inf (as "
                f"much of every language), found {option}"
            )
        return float(option)
    if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
        raise OptionError(
            "the YAML's sampling_alpha: expected a number from 0 (as much of every language) to 1 "
            f"(the data as they are), found {alpha}; correct it, or give --sampling-temperature"
        )
    return 1 / alpha if alpha > 0 else math.inf


def sampling_shares(counts: Numbers, temperature: float) -> np.ndarray:
    """Return each language's share of an epoch, `[languages]`, which add up to 1.

    Args:
        counts: rows of each language, `[languages]`; one without rows has no share.
        temperature: 1 or more.
    """
    rows = np.asarray(counts, dtype=np.float64)
    weights = np.zeros_like(rows)
    weights[rows > 0] = rows[rows > 0] ** (1 / temperature)
    return weights / weights.sum()


def rows_in_epoch(counts: Numbers, temperature: float, at_most_once: bool = False) -> np.ndarray:
    """Return how many rows of each language an epoch has, `[languages]`.

    They add up to as many as the data has (but for rounding), or with ``at_most_once`` to as many
    as can be had when no row is repeated: all of the smallest language, fewer of the others.

    Args:
        counts: rows of each language, `[languages]`.
        temperature: 1 or more.
        at_most_once: whether no row may be repeated.
    """
    rows = np.asarray(counts, dtype=np.int64)
    wanted = sampling_shares(rows, temperature) * rows.sum()
    if at_most_once:
        there = rows > 0
        wanted = wanted / (wanted[there] / rows[there]).max()
    return np.rint(wanted).astype(np.int64)


def repetitions(languages: np.ndarray, wanted: Numbers, priority: np.ndarray) -> np.ndarray:
    """Return how often each row is seen, `[rows]`.

    Rows of a language are seen equally often, or once more where they come first.

    Args:
        languages: index of each row's language, `[rows]`.
        wanted: rows that are to be seen of each language, `[languages]`.
        priority: which rows come first, those with lower numbers, `[rows]`.
    """
    result = np.zeros(len(languages), dtype=np.int64)
    for language, count in enumerate(wanted):
        rows = np.flatnonzero(languages == language)
        if len(rows) > 0:
            whole, rest = divmod(int(count), len(rows))
            result[rows] = whole
            result[rows[np.argsort(priority[rows], kind="stable")[:rest]]] += 1
    return result


class EpochSampling:
    """Draws the rows of an epoch, from (seed, epoch) alone.

    Args:
        languages: index of each row's language, `[rows]`.
        temperature: 1 or more.
        seed: of the run.
        utterances: the utterance of each row, `[rows]`, where rows of one belong together: then no
            row is repeated, and rows of the same utterances are drawn in every language, so that
            few utterances are left with few of their rows.
    """

    def __init__(
        self,
        languages: Numbers,
        temperature: float,
        seed: int,
        utterances: Optional[Numbers] = None,
    ) -> None:
        self.languages = np.asarray(languages, dtype=np.int64)
        self.seed = seed
        self.counts = np.bincount(self.languages)
        self.wanted = rows_in_epoch(self.counts, temperature, utterances is not None)
        there = self.counts > 0
        self.copies = int(np.ceil(self.wanted[there] / self.counts[there]).max())
        """The most often that any row can be seen in an epoch."""
        self._utterances = None if utterances is None else np.asarray(utterances, dtype=np.int64)
        self._drawn: Optional[Tuple[int, np.ndarray]] = None

    @property
    def changes_nothing(self) -> bool:
        """Whether every row is seen once in every epoch."""
        return bool((self.wanted == self.counts).all())

    def repetitions(self, epoch: int) -> np.ndarray:
        """Return how often each row is seen in ``epoch``, `[rows]`."""
        if self._drawn is None or self._drawn[0] != epoch:
            source = np.random.default_rng([self.seed, epoch])
            if self._utterances is None:
                priority = source.random(len(self.languages))
            else:
                priority = source.random(int(self._utterances.max()) + 1)[self._utterances]
            self._drawn = (epoch, repetitions(self.languages, self.wanted, priority))
        return self._drawn[1]

    def summary(self, names: Sequence[str]) -> str:
        """Return each language's rows and share, as they are and as they are sampled."""
        before, after = self.counts.sum(), self.wanted.sum()
        parts: List[str] = [
            f"{names[language]} {count} rows, {100 * count / before:.1f}% -> "
            f"{100 * wanted / after:.1f}% of an epoch, {wanted} rows"
            for language, (count, wanted) in enumerate(zip(self.counts, self.wanted))
            if count > 0
        ]
        return "; ".join(parts)


def epoch_sampling(
    languages: Numbers,
    temperature: float,
    seed: int,
    utterances: Optional[Numbers] = None,
) -> Optional[EpochSampling]:
    """Return an :class:`EpochSampling`, None where every row would be seen once in every epoch."""
    sampling = EpochSampling(languages, temperature, seed, utterances)
    return None if sampling.changes_nothing else sampling
