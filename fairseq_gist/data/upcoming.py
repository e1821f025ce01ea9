"""Which languages the batches of updates to come have: an epoch's order follows from its number."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Sequence, Set

import numpy as np

from fairseq_gist.data.rows import RowDataset

__all__ = ["UpcomingBatches"]

_OTHER_ORDERS = (
    "grouped_shuffling",
    "skip_remainder_batch",
    "update_epoch_batch_itr",
    "update_ordered_indices_seed",
)
"""Options by which batches come in another order, or aren't the same every epoch."""


class UpcomingBatches(NamedTuple):
    """The order in which an iterator gives batches to the processes of a run.

    It is that of fairseq's ``EpochBatchIterator`` and training loop, where batches are the same
    every epoch.

    Attributes:
        batches: of an epoch, `[batches][indices of the dataset]`.
        dataset: whose they are.
        seed: the iterator's.
        processes: among which batches are dealt out.
        update_freq: batches a process has an update, of each epoch, the last of all that follow.
        curriculum: epochs in which they aren't shuffled.
    """

    batches: Sequence[Sequence[int]]
    dataset: RowDataset
    seed: int
    processes: int
    update_freq: Sequence[int]
    curriculum: float

    @classmethod
    def of(cls, iterator: Any, cfg: Any) -> Optional[UpcomingBatches]:
        """Return the order, None where it can't be told beforehand.

        Args:
            iterator: over training batches.
            cfg: of the run.
        """
        dataset, options = iterator.dataset, (cfg.dataset, cfg.optimization)
        if not isinstance(dataset, RowDataset) or not dataset.can_reuse_epoch_itr_across_epochs:
            return None
        if any(getattr(own, name, False) for own in options for name in _OTHER_ORDERS):
            return None
        stays = getattr(iterator, "disable_shuffling", False)
        return cls(
            iterator.frozen_batches,
            dataset,
            iterator.seed,
            iterator.num_shards,
            tuple(cfg.optimization.update_freq),
            math.inf if stays else cfg.dataset.curriculum,
        )

    def languages(self, first: int, last: int, *, now: int, epoch: int, consumed: int) -> Set[int]:
        """Return the languages of the batches of updates ``first`` to ``last``, of all processes.

        Args:
            first: update, counted from 1.
            last: update, likewise.
            now: updates that were made.
            epoch: of the next update, counted from 1.
            consumed: batches that each process was given in that epoch, those of the next update
                included.
        """
        found: Set[int] = set()
        place = (max(consumed, 1) - 1) // self._frequency(epoch) * self._frequency(epoch)
        while now < last:
            each = self._frequency(epoch)
            updates = math.ceil((math.ceil(len(self.batches) / self.processes) - place) / each)
            begin, end = max(first - now - 1, 0), min(last - now, updates)
            if begin < end:
                found |= self._languages_at(epoch, place + begin * each, place + end * each)
            now, epoch, place = now + updates, epoch + 1, 0
        return found

    def _frequency(self, epoch: int) -> int:
        return self.update_freq[min(epoch, len(self.update_freq)) - 1]

    def _languages_at(self, epoch: int, start: int, stop: int) -> Set[int]:
        """Return the languages of what each process is given from one place on up to another."""
        order = list(range(len(self.batches)))
        if epoch > self.curriculum:
            np.random.RandomState(self.seed + epoch).shuffle(order)
        given = order[start * self.processes : stop * self.processes]
        return {
            language
            for batch in given
            for language in self.dataset.languages_at(self.batches[batch])
        }
