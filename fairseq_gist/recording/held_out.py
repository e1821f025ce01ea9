"""Held-out data on which gradients per language are measured."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from fairseq.data import ConcatDataset

from fairseq_gist.data.manifest import ManifestReader
from fairseq_gist.data.multiway import MultiwayDataset
from fairseq_gist.data.rows import RowDataset
from fairseq_gist.errors import DataError
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.languages.words import words

__all__ = ["HeldOut", "group_by_translation"]

Batch = Dict[str, Any]


class HeldOut:
    """A subset, dealt out to chunks so that each has every language's version of what it has.

    Utterances with all their translations are encoded once. Where every row has audio of its own,
    as where languages differ in what is spoken, rows that are translated alike belong together.

    Args:
        dataset: utterances or rows.
        groups: what belongs together, `[groups][indices of the dataset]`.
    """

    def __init__(self, dataset: RowDataset, groups: Sequence[Sequence[int]]) -> None:
        self.dataset, self.groups = dataset, groups

    @classmethod
    def read(cls, reader: ManifestReader, subset: str) -> HeldOut:
        """Return ``subset`` as ``reader`` finds it.

        Raises:
            DataError: when there is no such subset, or it isn't as it should be.
        """
        utterances = reader.read(subset, is_train=False, multiway=True)
        audio_is_shared = len(utterances) < len(utterances.rows)
        if reader.key == TARGET or audio_is_shared:
            return cls(utterances, [[index] for index in range(len(utterances))])
        rows = reader.read(subset, is_train=False)
        return cls(rows, group_by_translation(rows))

    def check(
        self,
        subset: str,
        languages: Sequence[str],
        chunks: int,
        max_tokens: Optional[int] = None,
        max_sentences: Optional[int] = None,
    ) -> None:
        """Raise DataError unless there is enough for the chunks, of every language, in batches."""
        if len(self.groups) < chunks:
            raise DataError(
                f"subset '{subset}': {len(self.groups)} utterances don't make {chunks} chunks; "
                "give it more, or ask for fewer chunks"
            )
        lengths = [self.dataset.num_tokens(index) for index in range(len(self.dataset))]
        if max_tokens is not None and max(lengths) > max_tokens:
            raise DataError(
                f"subset '{subset}': an utterance has {max(lengths):,} frames, and a batch may "
                f"have {max_tokens:,}; raise --max-tokens (in training, --max-tokens-valid), or "
                "leave it out of the subset"
            )
        filled = sum(map(bool, self.deal(chunks, max_tokens, max_sentences)))
        if filled < chunks:
            raise DataError(
                f"subset '{subset}' makes {filled} batches, fewer than --gradient-chunks {chunks}; "
                "give it more data, or ask for fewer chunks"
            )
        there = {languages[index] for index in self.dataset.language_indices}
        missing = sorted(set(languages) - there)
        if missing:
            raise DataError(
                f"subset '{subset}': it has no row of language '{missing[0]}', which the model "
                f"has, but of {', '.join(sorted(there))}"
            )

    def deal(
        self, chunks: int, max_tokens: Optional[int] = None, max_sentences: Optional[int] = None
    ) -> List[List[List[int]]]:
        """Return what is in every batch, `[chunks][batches][indices of the dataset]`.

        Args:
            chunks: how many there are to be.
            max_tokens: frames of audio a batch.
            max_sentences: rows or utterances a batch.
        """
        dataset = self.dataset
        if isinstance(dataset, MultiwayDataset):
            enough = max(1, len(dataset) // (2 * chunks))
            most = min(enough, max_sentences or enough)
            batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens, most)
            return [batches[chunk::chunks] for chunk in range(chunks)]
        longest = sorted(self.groups, key=lambda group: -max(map(dataset.num_tokens, group)))
        dealt = []
        for chunk in range(chunks):
            rows = [row for group in longest[chunk::chunks] for row in group]
            rows.sort(key=lambda row: -dataset.num_tokens(row))
            dealt.append(dataset.batch_by_size(rows, max_tokens, max_sentences))
        return dealt

    def load(self, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """Give one batch after the other, each read when it is asked for."""
        for batch in batches:
            yield self.dataset.collater([self.dataset[index] for index in batch])


def group_by_translation(dataset: RowDataset) -> List[List[int]]:
    """Return the rows that are translated alike, at most one of a language, `[groups][rows]`.

    What a language has several times is in as many groups: its first with the other languages'
    first, and so on.
    """
    subsets = dataset.rows.datasets if isinstance(dataset.rows, ConcatDataset) else [dataset.rows]
    texts = [text for subset in subsets for text in subset.tgt_texts]
    languages = [0] * len(texts) if dataset.languages is None else dataset.languages.tolist()
    said: Counter[Tuple[int, Tuple[str, ...]]] = Counter()
    groups: Dict[Tuple[int, Tuple[str, ...]], List[int]] = {}
    for row, (language, text) in enumerate(zip(languages, texts)):
        key = words(text)
        groups.setdefault((said[language, key], key), []).append(row)
        said[language, key] += 1
    return list(groups.values())
