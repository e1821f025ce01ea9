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
        """Add ``gradient`` of one language to parameter ``part`` of ``unit``.

        The tensor is the caller's and changes afterwards: what is kept must be a copy.
        """


@dataclass(frozen=True)
class RowPartition:
    """The rows of a batch, divided among the groups that occur in it.

    Attributes:
        groups: indices of the groups present, ascending.
        rows: for each of them the positions of its rows, each `[rows of the group]`.
        inverse: puts the groups' rows, one group after the other, back in order, `[rows]`.
        batches: for each of them the languages of its rows.
        source_rows: for each of them the source of each of its rows, `[rows of the group]`; empty
            where every row has its own.
        sources: for each of them the sources that its rows need, each once; empty likewise.
        spread: puts the outputs for ``sources``, one group after the other, in the place of every
            row that needs them, `[rows]`; None likewise.
    """

    groups: Tuple[int, ...]
    rows: Tuple[Tensor, ...]
    inverse: Tensor
    batches: Tuple[LanguageBatch, ...]
    source_rows: Tuple[Tensor, ...] = ()
    sources: Tuple[Tensor, ...] = ()
    spread: Optional[Tensor] = None


class LanguageBatch:
    """The languages of the rows of one forward pass.

    Args:
        ids: index of each row's language, `[rows]`, any integer type.
        languages: the model's languages, in the order that the indices mean.
        source_of: where several rows share a row of the encoder's output, the position of each
            row's there, `[rows]`. Modules that read the encoder's output then run once a source.
        device: of the activations; default that of ``ids``.

    Raises:
        RoutingError: when the ids are no vector of integers, or one is none of the languages.
    """

    def __init__(
        self,
        ids: Tensor,
        languages: Sequence[str],
        source_of: Optional[Tensor] = None,
        device: Optional[torch.device] = None,
    ) -> None:
        if ids.dim() != 1 or ids.is_floating_point():
            raise RoutingError(
                f"lang_ids: expected one integer a row, found {ids.dtype} of shape "
                f"{tuple(ids.shape)}"
            )
        self.device = ids.device if device is None else device
        self.languages = tuple(languages)
        self._ids: List[int] = ids.tolist()
        wrong = [i for i in self._ids if not 0 <= i < len(self.languages)]
        if wrong:
            raise RoutingError(
                f"lang_ids: {wrong[0]} is none of the {len(self.languages)} languages "
                f"({', '.join(self.languages)})"
            )
        self.source_of = None if source_of is None else source_of.to(self.device)
        self._sources: Optional[List[int]] = None if source_of is None else source_of.tolist()
        self._partitions: Dict[Tuple[Tuple[int, ...], int], RowPartition] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def is_same(self, other: LanguageBatch) -> bool:
        """Whether the rows of both have the same languages and sources."""
        return (self._ids, self._sources, self.device) == (
            other._ids,
            other._sources,
            other.device,
        )

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
            ids = self.ids(rows, module)
            found = self._partitions[key] = self._divide(group_of, ids)
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
        rows = tuple(self._index(members[group]) for group in groups)
        inverse = self._index(_inverse(order))
        if self._sources is None or len(ids) != len(self._ids):
            batches = [self._part([ids[row] for row in members[group]]) for group in groups]
            return RowPartition(groups, rows, inverse, tuple(batches))
        batches, source_rows, sources = [], [], []
        spread = [0] * len(ids)
        start = 0
        for group in groups:
            of_rows = [self._sources[row] for row in members[group]]
            needed = sorted(set(of_rows))
            place = {source: index for index, source in enumerate(needed)}
            local = [place[source] for source in of_rows]
            for row, index in zip(members[group], local):
                spread[row] = start + index
            start += len(needed)
            batches.append(self._part([ids[row] for row in members[group]], local))
            source_rows.append(self._index(of_rows))
            sources.append(self._index(needed))
        return RowPartition(
            groups,
            rows,
            inverse,
            tuple(batches),
            tuple(source_rows),
            tuple(sources),
            self._index(spread),
        )

    def _index(self, positions: List[int]) -> Tensor:
        return torch.tensor(positions, dtype=torch.long).to(self.device)

    def _part(self, ids: List[int], source_of: Optional[List[int]] = None) -> LanguageBatch:
        sources = None if source_of is None else torch.tensor(source_of)
        return LanguageBatch(torch.tensor(ids), self.languages, sources, self.device)


def _inverse(order: Sequence[int]) -> List[int]:
    inverse = [0] * len(order)
    for position, row in enumerate(order):
        inverse[row] = position
    return inverse


class Routing:
    """The one place where the modules of a model find the languages of the current batch.

    Attributes:
        languages: the model's languages; their positions are the ids.
        sink: takes gradients per language while they are recorded, else None.
        in_encoder: whether a module of the encoder may need the languages.
        current: the batch whose forward is under way, if its languages are known.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = tuple(languages)
        self.sink: Optional[GradientSink] = None
        self.in_encoder = False
        self.current: Optional[LanguageBatch] = None
        self._latest: Optional[LanguageBatch] = None

    def note(self, path: str) -> None:
        """Take note that the module at ``path`` will ask for the languages."""
        self.in_encoder = self.in_encoder or path.startswith("encoder.")

    def languages_of(self, ids: Tensor, source_of: Optional[Tensor] = None) -> LanguageBatch:
        """Return the batch with these rows; see :class:`LanguageBatch`.

        Beam search brings the same rows at every step: what was worked out for them is kept.

        Raises:
            RoutingError: see :class:`LanguageBatch`.
        """
        batch = LanguageBatch(ids, self.languages, source_of)
        if self._latest is None or not self._latest.is_same(batch):
            self._latest = batch
        return self._latest

    @contextlib.contextmanager
    def using(self, batch: Optional[LanguageBatch]) -> Iterator[None]:
        """Make ``batch`` the current one inside the block."""
        before, self.current = self.current, batch
        try:
            yield
        finally:
            self.current = before

    def batch(self, module: str) -> LanguageBatch:
        """Return the current batch.

        Raises:
            RoutingError: when no forward that knows its languages is under way.
        """
        if self.current is None:
            raise RoutingError(
                f"{module} needs to know the language of every row, but this batch came without "
                "lang_ids; use --task gist_speech_to_text, or put them into net_input"
            )
        return self.current
