"""How the language of every row reaches the modules of a model.

A :class:`Routing` belongs to one model. The decoder (or a routed encoder) puts the
:class:`LanguageBatch` of its input there for the time of its forward, and every grouped or
recorded module below reads it. Index work is done once a batch and kept in the batch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Protocol, Sequence, Tuple

import torch
from torch import Tensor

from fairseq_gist.errors import RoutingError

__all__ = ["GradientSink", "LanguageBatch", "Routing", "RowPartition"]


class GradientSink(Protocol):
    """Takes the gradients of single languages during a backward pass."""

    def add(self, unit: str, part: str, language: int, gradient: Tensor) -> None:
        """Add ``gradient`` of one language to parameter ``part`` of ``unit``."""


@dataclass(frozen=True)
class RowPartition:
    """The rows of a batch, divided among the groups that occur in it.

    Attributes:
        groups: indices of the groups present, ascending.
        rows: for each of them the positions of its rows, each `[rows of the group]`.
        inverse: puts the groups' rows, one group after the other, back in order, `[rows]`.
        batches: for each of them the languages of its rows.
    """

    groups: Tuple[int, ...]
    rows: Tuple[Tensor, ...]
    inverse: Tensor
    batches: Tuple[LanguageBatch, ...]


class LanguageBatch:
    """The languages of the rows of one forward pass.

    Args:
        ids: index of each row's language, `[batch]`, any integer type.
        languages: the model's languages, in the order that the indices mean.

    Raises:
        RoutingError: when the ids are no vector of integers, or one is none of the languages.
    """

    def __init__(self, ids: Tensor, languages: Sequence[str]) -> None:
        if ids.dim() != 1 or ids.is_floating_point():
            raise RoutingError(
                f"lang_ids: expected one integer a row, found {ids.dtype} of shape "
                f"{tuple(ids.shape)}"
            )
        self.device = ids.device
        self.languages = tuple(languages)
        self._ids: List[int] = ids.tolist()
        wrong = [i for i in self._ids if not 0 <= i < len(self.languages)]
        if wrong:
            raise RoutingError(
                f"lang_ids: {wrong[0]} is none of the {len(self.languages)} languages "
                f"({', '.join(self.languages)})"
            )
        self._partitions: Dict[Tuple[Tuple[int, ...], int], RowPartition] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self, rows: int, module: str = "the module") -> List[int]:
        """Return the language index of each of ``rows`` rows of an activation.

        In beam search, fairseq's cross-attention projects keys and values once a sentence instead
        of once a hypothesis; then every run of hypotheses must be of one language.

        Raises:
            RoutingError: when the rows can't be those that the ids are for.
        """
        if rows == len(self._ids):
            return self._ids
        if 0 < rows < len(self._ids) and len(self._ids) % rows == 0:
            beam = len(self._ids) // rows
            firsts = self._ids[::beam]
            if self._ids == [first for first in firsts for _ in range(beam)]:
                return firsts
        raise RoutingError(
            f"{module}: the batch has {rows} rows, but there are language ids for "
            f"{len(self._ids)}; lang_ids must follow every reordering of the rows"
        )

    def partition(self, group_of: Tuple[int, ...], rows: int, module: str) -> RowPartition:
        """Return which of ``rows`` rows belong to which group.

        Args:
            group_of: the group of each language, `[languages]`.
            rows: how many rows the activation has.
            module: named in errors.
        """
        key = (group_of, rows)
        found = self._partitions.get(key)
        if found is None:
            found = self._partitions[key] = self._divide(group_of, self.ids(rows, module))
        return found

    def by_language(self, rows: int, module: str) -> RowPartition:
        """Return the partition in which every language is its own group."""
        return self.partition(tuple(range(len(self.languages))), rows, module)

    def _divide(self, group_of: Tuple[int, ...], ids: List[int]) -> RowPartition:
        members: Dict[int, List[int]] = {}
        for row, language in enumerate(ids):
            members.setdefault(group_of[language], []).append(row)
        groups = tuple(sorted(members))
        order = [row for group in groups for row in members[group]]
        inverse = [0] * len(order)
        for position, row in enumerate(order):
            inverse[row] = position
        whole = torch.tensor(ids, dtype=torch.long)
        return RowPartition(
            groups=groups,
            rows=tuple(torch.tensor(members[group]).to(self.device) for group in groups),
            inverse=torch.tensor(inverse, dtype=torch.long).to(self.device),
            batches=tuple(self._part(whole[members[group]]) for group in groups),
        )

    def _part(self, ids: Tensor) -> LanguageBatch:
        part = LanguageBatch(ids, self.languages)
        part.device = self.device
        return part


class Routing:
    """The one place where the modules of a model find the languages of the current batch.

    Attributes:
        languages: the model's languages; their positions are the ids.
        sink: takes gradients per language while they are recorded, else None.
        in_encoder: whether a module of the encoder needs the languages, so that the encoder must
            run once a row rather than once an utterance.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = tuple(languages)
        self.sink: Optional[GradientSink] = None
        self.in_encoder = False
        self._batch: Optional[LanguageBatch] = None

    def note(self, path: str) -> None:
        """Take note that the module at ``path`` will ask for the languages."""
        self.in_encoder = self.in_encoder or path.startswith("encoder.")

    @property
    def current(self) -> Optional[LanguageBatch]:
        """The batch whose forward is under way, if its languages are known."""
        return self._batch

    @contextlib.contextmanager
    def using(self, batch: Optional[LanguageBatch]) -> Iterator[None]:
        """Make ``batch`` the current one inside the block."""
        before, self._batch = self._batch, batch
        try:
            yield
        finally:
            self._batch = before

    def batch(self, module: str) -> LanguageBatch:
        """Return the current batch.

        Raises:
            RoutingError: when no forward that knows its languages is under way.
        """
        if self._batch is None:
            raise RoutingError(
                f"{module} needs to know the language of every row, but this batch came without "
                "lang_ids; use --task gist_speech_to_text, or put them into net_input"
            )
        return self._batch
