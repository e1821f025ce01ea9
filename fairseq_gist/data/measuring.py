"""Held-out data on which gradients per language are measured."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Sequence

from fairseq_gist.data.rows import RowDataset
from fairseq_gist.errors import DataError

__all__ = ["check_measurable", "measuring_batches"]


def check_measurable(
    dataset: RowDataset, subset: str, languages: Sequence[str], chunks: int
) -> None:
    """Raise DataError unless ``dataset`` makes enough chunks and has every language."""
    if len(dataset) < chunks:
        raise DataError(
            f"subset '{subset}': {len(dataset)} utterances don't make {chunks} chunks; give it "
            "more, or ask for fewer chunks"
        )
    missing = sorted(set(languages) - {languages[index] for index in dataset.language_indices})
    if missing:
        raise DataError(
            f"subset '{subset}': it has no row of language '{missing[0]}', which the model has"
        )


def measuring_batches(
    dataset: RowDataset,
    chunks: int,
    max_tokens: Optional[int] = None,
    max_sentences: Optional[int] = None,
) -> Iterator[Dict[str, Any]]:
    """Yield the batches of ``dataset``, enough of them for ``chunks``.

    Args:
        dataset: held-out rows or utterances.
        chunks: how many chunks the batches are for.
        max_tokens: frames of audio a batch.
        max_sentences: rows or utterances a batch.
    """
    enough = max(1, len(dataset) // (2 * chunks))
    batches = dataset.batch_by_size(
        dataset.ordered_indices(),
        max_tokens=max_tokens,
        max_sentences=min(enough, max_sentences or enough),
    )
    for batch in batches:
        yield dataset.collater([dataset[index] for index in batch])
