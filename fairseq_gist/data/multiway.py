"""Batches of utterances with all their translations, each utterance encoded once."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from fairseq.data import FairseqDataset

from fairseq_gist.data.dataset import LanguageDataset, LanguageItem
from fairseq_gist.data.known_rows import KNOWN_ROWS
from fairseq_gist.data.rows import RowDataset
from fairseq_gist.data.sampling import epoch_sampling

__all__ = ["MultiwayDataset", "group_by_audio"]


def group_by_audio(audio: Sequence[str]) -> List[List[int]]:
    """Return the rows that share their audio, `[utterances][rows]`, by first appearance."""
    groups: Dict[str, List[int]] = {}
    for row, path in enumerate(audio):
        groups.setdefault(path, []).append(row)
    return list(groups.values())


class MultiwayDataset(RowDataset):
    """Utterances instead of rows: ``--max-tokens`` counts each one's frames once.

    A batch has ``src_tokens`` `[utterances, frames, features]`, one row of
    ``prev_output_tokens`` for every translation `[rows, tokens]`, and
    ``net_input["utterances"]`` `[rows]`, the utterance of each row. An utterance has as many rows
    as the data has translations of it, or fewer in an epoch whose rows are sampled.

    Args:
        subsets: the subsets, in order.
        languages: index of each row's language, `[rows]`, numbered through the subsets.
        seed: of the run.
        max_target_tokens: how many target tokens a batch may have, padding among them; None: as
            many as ``max_tokens``, its limit in frames.
        temperature: at which translations are sampled, 1 or more.
    """

    def __init__(
        self,
        subsets: Sequence[LanguageDataset],
        languages: Sequence[int],
        seed: int,
        max_target_tokens: Optional[int] = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(_Chain(subsets), languages, seed)
        self.max_target_tokens = max_target_tokens
        # sizes are those of the text alone
        self._tag_and_end = 1 + bool(subsets[0].cfg.prepend_tgt_lang_tag)
        self.utterances = group_by_audio([path for s in subsets for path in s.audio_paths])
        self._utterance_of = np.empty(len(self.rows), dtype=np.int64)
        for utterance, group in enumerate(self.utterances):
            self._utterance_of[group] = utterance
        self.sampling = epoch_sampling(languages, temperature, seed, self._utterance_of)

    def __len__(self) -> int:
        return len(self.utterances)

    def rows_of(self, index: int, epoch: int) -> List[int]:
        """Return the rows that utterance ``index`` has in ``epoch``."""
        rows = self.utterances[index]
        if self.sampling is None:
            return rows
        seen = self.sampling.repetitions(epoch)
        return [row for row in rows if seen[row]]

    def _rows_at(self, codes: Sequence[int]) -> List[int]:
        return [row for code in codes for row in self.utterances[int(code) % len(self)]]

    def epoch_indices(self) -> Any:
        """Return the utterances that have rows in the epoch that was last set."""
        if self.sampling is None:
            return super().epoch_indices()
        return np.unique(self._utterance_of[self.sampling.repetitions(self.epoch) > 0])

    def load(self, index: int, epoch: int) -> Any:
        """Return the rows of utterance ``index``, all with the same, once augmented audio."""
        rows = self.rows_of(index, epoch)
        first = super().load(rows[0], epoch)
        items = [first]
        for row in rows[1:]:
            item = self.rows.with_source(row, first.source)
            item.index = row
            items.append(item)
        return items

    def collater(self, samples: List[List[LanguageItem]]) -> Dict[str, Any]:
        """Collate utterances, the longest audio first, their rows together."""
        if not samples:
            return {}
        samples = sorted(samples, key=lambda items: -items[0].source.size(0))
        # the stock collater orders by length; the ids say where everything went
        flat = [item for items in samples for item in items]
        heads = [items[0] for items in samples]
        batch = self.rows.collater(
            [
                LanguageItem(i, item.source[:1], item.target, item.speaker_id, item.language)
                for i, item in enumerate(flat)
            ]
        )
        order = batch["id"]
        audio = self.rows.collater(
            [
                LanguageItem(i, item.source, item.target, item.speaker_id, 0)
                for i, item in enumerate(heads)
            ]
        )
        utterance = torch.tensor([u for u, items in enumerate(samples) for _ in items])
        place = torch.empty(len(heads), dtype=torch.long)
        place[audio["id"]] = torch.arange(len(heads))
        batch["id"] = torch.tensor([item.index for item in flat])[order]
        batch["net_input"]["src_tokens"] = audio["net_input"]["src_tokens"]
        batch["net_input"]["src_lengths"] = audio["net_input"]["src_lengths"]
        batch["net_input"]["utterances"] = place[utterance[order]]
        batch[KNOWN_ROWS].utterances = batch["net_input"]["utterances"].tolist()
        return batch

    def batch_by_size(
        self,
        indices: Any,
        max_tokens: Optional[int] = None,
        max_sentences: Optional[int] = None,
        required_batch_size_multiple: int = 1,
    ) -> List[List[int]]:
        """Return batches of utterances; every one of ``indices`` is in one.

        A batch with more target tokens than the limit is halved until its parts keep to it, or
        are single utterances.
        """
        batches = super().batch_by_size(
            indices, max_tokens, max_sentences, required_batch_size_multiple
        )
        limit = self.max_target_tokens or max_tokens
        if limit is None:
            return batches
        return [part for batch in batches for part in self._halve(batch, limit)]

    def _halve(self, batch: List[int], limit: int) -> List[List[int]]:
        rows = [row for index in batch for row in self.rows_of(index, self.epoch)]
        longest = max(self.rows.size(row)[1] for row in rows) + self._tag_and_end
        if len(rows) * longest <= limit or len(batch) == 1:
            return [batch]
        middle = len(batch) // 2
        return [*self._halve(batch[:middle], limit), *self._halve(batch[middle:], limit)]

    def size(self, index: int) -> Any:
        """Return (frames, tokens of the longest translation)."""
        sizes = [self.rows.size(row) for row in self.utterances[index]]
        return max(size[0] for size in sizes), max(size[1] for size in sizes)

    @property
    def _shuffles(self) -> bool:
        return bool(self.rows.subsets[0].shuffle)


class _Chain(FairseqDataset):
    """Subsets one after the other, with access to a row's own subset."""

    def __init__(self, subsets: Sequence[LanguageDataset]) -> None:
        super().__init__()
        self.subsets = list(subsets)
        self._ends = np.cumsum([len(subset) for subset in subsets])

    def _find(self, row: int) -> Any:
        subset = int(np.searchsorted(self._ends, row, side="right"))
        start = 0 if subset == 0 else int(self._ends[subset - 1])
        return self.subsets[subset], row - start

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> LanguageItem:
        subset, index = self._find(row)
        item: LanguageItem = subset[index]
        return item

    def with_source(self, row: int, source: torch.Tensor) -> LanguageItem:
        subset, index = self._find(row)
        item: LanguageItem = subset.with_source(index, source)
        return item

    def size(self, row: int) -> Any:
        subset, index = self._find(row)
        return subset.size(index)

    def collater(self, samples: List[LanguageItem]) -> Dict[str, Any]:
        batch: Dict[str, Any] = self.subsets[0].collater(samples)
        return batch
