"""Batches of rows: of any language or of one, augmented alike however often a run is resumed."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
from fairseq.data import FairseqDataset

from fairseq_gist.data.dataset import LanguageItem
from fairseq_gist.data.generator import augmentation_seed
from fairseq_gist.data.sampling import epoch_sampling
from fairseq_gist.errors import DataError, OptionError

__all__ = ["RowDataset"]


class RowDataset(FairseqDataset):
    """One or several subsets of rows, batched with no row lost.

    An index is that of a row, plus ``len(dataset)`` for each time the row was seen before in its
    epoch. In a batch it carries the epoch too, with ``len(dataset)`` times ``copies`` for each, and
    so brings it to the worker process, where fairseq's ``set_epoch`` does not reach.

    Args:
        rows: a subset, or a concatenation of some.
        languages: index of each row's language, `[rows]`; None where there are none.
        seed: of the run.
        homogeneous: whether every batch has rows of one language only.
        temperature: at which languages are sampled, 1 or more; 1: every row once an epoch.
    """

    def __init__(
        self,
        rows: FairseqDataset,
        languages: Optional[Sequence[int]],
        seed: int,
        homogeneous: bool = False,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if homogeneous and languages is None:
            raise DataError("--homogeneous-batches: the data has no languages to sort batches by")
        if temperature != 1 and languages is None:
            raise OptionError(
                f"sampling at temperature {temperature:g}: the data has no languages to sample by, "
                "as the vocabulary has no language tags; use --languages, or "
                "--sampling-temperature 1"
            )
        self.rows = rows
        self.languages = None if languages is None else np.asarray(languages, dtype=np.int64)
        self.seed = seed
        self.homogeneous = homogeneous
        self.sampling = None if languages is None else epoch_sampling(languages, temperature, seed)
        self.epoch = 1

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, code: int) -> Any:
        seen, index = divmod(int(code), len(self))
        epoch, copy = divmod(seen, self.copies)
        with augmentation_seed(self.seed, epoch, index, copy):
            return self.load(index, epoch)

    @property
    def copies(self) -> int:
        """The most often that any row can be seen in an epoch."""
        return 1 if self.sampling is None else self.sampling.copies

    @property
    def language_indices(self) -> List[int]:
        """Indices of the languages that occur, ascending."""
        return [] if self.languages is None else np.unique(self.languages).tolist()

    def languages_at(self, codes: Sequence[int]) -> List[int]:
        """Return the indices of the languages that a batch has, or may have, ascending."""
        if self.languages is None:
            return []
        return np.unique(self.languages[self._rows_at(codes)]).tolist()

    def _rows_at(self, codes: Sequence[int]) -> List[int]:
        return [int(code) % len(self) for code in codes]

    def load(self, index: int, epoch: int) -> Any:
        """Return row ``index``, numbered through all subsets, as it is in ``epoch``."""
        item: LanguageItem = self.rows[index]
        item.index = index
        return item

    def collater(self, samples: List[Any]) -> Dict[str, Any]:
        """Collate items to a batch."""
        batch: Dict[str, Any] = self.rows.collater(samples)
        return batch

    def with_epoch(self, batches: Sequence[Sequence[int]], epoch: int) -> List[List[int]]:
        """Return ``batches`` with the epoch in every index."""
        start = epoch * self.copies * len(self)
        return [[start + int(index) for index in batch] for batch in batches]

    def num_tokens(self, index: int) -> int:
        """Return the length of the audio in frames, which ``--max-tokens`` limits."""
        return int(self.size(index)[0])

    def size(self, index: int) -> Any:
        """Return (frames, target tokens)."""
        return self.rows.size(int(index) % len(self))

    def epoch_indices(self) -> Any:
        """Return the indices of the epoch that was last set, a row's as often as it is seen."""
        if self.sampling is None:
            return np.arange(len(self))
        times = self.sampling.repetitions(self.epoch)
        seen = [np.flatnonzero(times > copy) + copy * len(self) for copy in range(self.copies)]
        return np.concatenate(seen)

    def ordered_indices(self) -> Any:
        """Return the epoch's indices, longest audio first, equal lengths in random order."""
        indices = self.epoch_indices()
        count = len(indices)
        order = [np.random.permutation(count) if self._shuffles else np.arange(count)]
        order.append(np.array([-self.num_tokens(index) for index in indices]))
        return indices[np.lexsort(order)]

    @property
    def _shuffles(self) -> bool:
        first = self.rows
        while hasattr(first, "datasets"):
            first = first.datasets[0]
        return bool(getattr(getattr(first, "dataset", first), "shuffle", False))

    def batch_by_size(
        self,
        indices: Any,
        max_tokens: Optional[int] = None,
        max_sentences: Optional[int] = None,
        required_batch_size_multiple: int = 1,
    ) -> List[List[int]]:
        """Return batches of ``indices``; every index is in one.

        Stock fairseq drops a last batch whose size is no multiple of
        ``--required-batch-size-multiple``, in training and in generation alike. No batch of one
        language has a row twice.
        """
        indices = np.asarray(indices, dtype=np.int64)
        parts = [indices]
        if self.homogeneous and self.languages is not None:
            copy, row = np.divmod(indices, len(self))
            of = self.languages[row] * self.copies + copy
            parts = [indices[of == part] for part in np.unique(of)]
        batches: List[List[int]] = []
        for part in parts:
            made = super().batch_by_size(
                part,
                max_tokens=max_tokens,
                max_sentences=max_sentences,
                required_batch_size_multiple=required_batch_size_multiple,
            )
            covered = sum(len(batch) for batch in made)
            batches.extend([int(index) for index in batch] for batch in made)
            if covered < len(part):
                batches.append([int(index) for index in part[covered:]])
        return batches

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Whether the same batches serve every epoch (not where rows are sampled)."""
        return self.sampling is None

    @property
    def supports_prefetch(self) -> bool:
        """Prefetching is for datasets that load many rows at once; this one doesn't."""
        return False

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch's indices are asked for next, counted from 1."""
        self.epoch = epoch
