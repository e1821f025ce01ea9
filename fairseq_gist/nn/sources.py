"""Encoding an utterance once for all its translations, as far as they share the encoder.

Below the first module that tells languages apart, one row of activations serves every translation
of an utterance. From there on there is one for every group of languages that has been kept apart
so far, and only where each language has its own is there one for every translation.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Set

import torch
from torch import Tensor, nn

from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.partition import Partition
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.rows import index_on, values_of
from fairseq_gist.nn.watching import is_watched

__all__ = ["SourceRows", "partitions_in"]


def partitions_in(modules: Sequence[nn.Module], routing: Routing) -> Set[Partition]:
    """Return how the modules inside ``modules`` group the languages, `[languages]` each.

    While gradients are recorded, one that hands them on keeps every language apart.
    """
    found: Set[Partition] = set()
    each = tuple(range(len(routing.languages)))
    recording = routing.sink is not None and torch.is_grad_enabled()
    for top in modules:
        for module in top.modules():
            grouped = isinstance(module, GroupedModule)
            if recording and (grouped or is_watched(module)):
                found.add(each)
            elif grouped:
                found.add(module.group_of)
    return found


class SourceRows:
    """Which rows the activations of an encoder have, and which of them a translation needs.

    Args:
        utterances: the utterance of each translation, `[rows]`.
        lang_ids: the language of each translation, `[rows]`.
        count: number of utterances, of which each has a row at first.
        languages: of the model.
    """

    def __init__(
        self, utterances: Tensor, lang_ids: Tensor, count: int, languages: Sequence[str]
    ) -> None:
        self._device = utterances.device
        self._languages = tuple(languages)
        self._ids = values_of(lang_ids)
        self._source_of = values_of(utterances)
        self._utterance_of: List[int] = list(range(count))
        self._batch: Optional[LanguageBatch] = None

    def __len__(self) -> int:
        return len(self._utterance_of)

    @property
    def source_of(self) -> Optional[Tensor]:
        """Row of the activations for each translation, `[rows]`; None where each has its own."""
        if self._source_of == list(range(len(self))):
            return None
        return self._index(self._source_of)

    @property
    def utterance_of(self) -> Tensor:
        """Utterance of each row of the activations, `[sources]`."""
        return self._index(self._utterance_of)

    def restart(self) -> None:
        """Take the rows there are now for the utterances: their audio has been repeated."""
        self._utterance_of = list(range(len(self)))

    def keep_apart(self, partitions: Set[Partition]) -> Optional[Tensor]:
        """Give languages that a partition separates rows of their own.

        Returns:
            For each new row the old one that it repeats, `[sources]`; None where nothing changes.
        """
        keys = [
            (source, tuple(group_of[language] for group_of in sorted(partitions)))
            for source, language in zip(self._source_of, self._ids)
        ]
        needed = sorted(set(keys))
        if [source for source, _ in needed] == list(range(len(self))):
            return None
        position = {key: index for index, key in enumerate(needed)}
        repeats = [source for source, _ in needed]
        self._source_of = [position[key] for key in keys]
        self._utterance_of = [self._utterance_of[source] for source in repeats]
        self._batch = None
        return self._index(repeats)

    def languages(self) -> LanguageBatch:
        """Return, for each row of the activations, one of the languages that share it."""
        if self._batch is None:
            language_of = dict(zip(self._source_of, self._ids))
            ids = [language_of[source] for source in range(len(self))]
            self._batch = LanguageBatch(ids, self._languages, device=self._device)
        return self._batch

    def _index(self, positions: List[int]) -> Tensor:
        return index_on(self._device, positions)
