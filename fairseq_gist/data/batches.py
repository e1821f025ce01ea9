"""Epochs of batches that are the same in a resumed run as in one that was never interrupted."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq.data import data_utils, iterators

from fairseq_gist.data.generator import generator_state
from fairseq_gist.data.rows import RowDataset
from fairseq_gist.errors import DataError
from fairseq_gist.host.boundary import one_line_errors

__all__ = ["epoch_batches"]

_SHARDS = "gist_processes"
"""Entry of an iterator's state with the number of processes that its place is counted in."""


class _EpochBatches(iterators.EpochBatchIterator):
    """fairseq's iterator, which has its place in the epoch in any number of processes."""

    _composed: Tuple[int, Tuple[Any, ...]] = (0, ())
    """An epoch, and its batches."""

    def __init__(
        self, batch_sampler: Callable[[Any, int], List[List[int]]], **options: Any
    ) -> None:
        super().__init__(batch_sampler=batch_sampler, **options)
        self._compose = batch_sampler

    @property
    def frozen_batches(self) -> Tuple[Any, ...]:
        """The batches of the epoch that it is in, not yet shuffled.

        fairseq 0.12.2 composes those of the epoch that it (re)starts in, and has them in all
        others: rows would be augmented in every epoch as they were in that one.
        """
        if self._composed[0] != self.epoch:
            self._composed = self.epoch, tuple(self._compose(self.dataset, self.epoch))
        return self._composed[1]

    def state_dict(self) -> Dict[str, Any]:
        """Return the place, and in how many processes it is."""
        return {**super().state_dict(), _SHARDS: self.num_shards}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on at a place.

        Raises:
            DataError: when there is no such place in this number of processes.
        """
        own = dict(state_dict)
        place = int(own.get("iterations_in_epoch") or 0)
        count = int(own.get(_SHARDS) or self.num_shards)
        with one_line_errors():
            if place * count % self.num_shards:
                raise DataError(
                    f"the checkpoint is {place} batches a process into its epoch, in {count} "
                    f"process{'es' * (count > 1)}, and these {place * count} can't be divided "
                    f"among {self.num_shards}: go on with as many as before, or from a checkpoint "
                    "at the end of an epoch"
                )
        own["iterations_in_epoch"] = place * count // self.num_shards
        super().load_state_dict(own)


def epoch_batches(
    dataset: RowDataset,
    keep: Callable[[Any], Any],
    max_tokens: Optional[int],
    max_sentences: Optional[int],
    required_batch_size_multiple: int,
    seed: int,
    epoch: int,
    **iterator_options: Any,
) -> iterators.EpochBatchIterator:
    """Return fairseq's iterator over ``dataset`` from ``epoch`` on.

    Batches are composed once, as those of epoch 1, unless rows are sampled anew every epoch; stock
    fairseq composes them in the epoch it (re)starts in, so there a resumed run has other batches.
    Every index brings its epoch along (see :class:`RowDataset`).

    Args:
        dataset: the rows.
        keep: takes ordered indices and returns those that are not too long.
        max_tokens: frames a batch.
        max_sentences: rows (or utterances) a batch.
        required_batch_size_multiple: fairseq's option of that name.
        seed: of the run.
        epoch: where to begin, counted from 1.
        iterator_options: for fairseq's iterator.
    """
    fixed = dataset.can_reuse_epoch_itr_across_epochs
    composed: List[Sequence[int]] = []

    def batches(_: Any, current_epoch: int) -> List[List[int]]:
        if not composed or not fixed:
            dataset.set_epoch(current_epoch)
            with generator_state(), data_utils.numpy_seed(seed + (1 if fixed else current_epoch)):
                indices = dataset.ordered_indices()
            composed[:] = dataset.batch_by_size(
                keep(indices),
                max_tokens=max_tokens,
                max_sentences=max_sentences,
                required_batch_size_multiple=required_batch_size_multiple,
            )
        return dataset.with_epoch(composed, current_epoch)

    return _EpochBatches(
        dataset=dataset,
        collate_fn=dataset.collater,
        batch_sampler=batches,
        seed=seed,
        epoch=epoch,
        **iterator_options,
    )
