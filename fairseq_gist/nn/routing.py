"""How the language of every row reaches the modules of a model.

A :class:`Routing` belongs to one model. The decoder (or a routed encoder) puts the
:class:`LanguageBatch` of its input there for the time of its forward, and every grouped or
recorded module below reads it. Index work is done once a batch and kept in the batch.
"""

from __future__ import annotations

import contextlib
from typing import Dict, Iterator, List, Optional, Protocol, Sequence, Tuple, Union

import torch
from torch import Tensor

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.partition import DraftPart, Partition, RowPartition, draft_partition
from fairseq_gist.nn.rows import Parcel, values_of

__all__ = ["GradientSink", "LanguageBatch", "Routing"]


class GradientSink(Protocol):
    """Takes the gradients of single languages during a backward pass."""

    def add(self, unit: str, part: str, languages: Sequence[int], gradients: Tensor) -> None:
        """Add the gradients of some languages to parameter ``part`` of ``unit``.

        Args:
            unit: whose gradients they are.
            part: name of the parameter.
            languages: ascending.
            gradients: one for each of them, `[languages, ...]`. The tensor is the caller's and
                changes afterwards: what is kept must be a copy.
        """


class LanguageBatch:
    """The languages of the rows of one forward pass.

    Args:
        ids: index of each row's language, `[rows]`, of any integer type or a list.
        languages: the model's languages, in the order that the indices mean.
        source_of: where several rows share a row of the encoder's output, the position of each
            row's there, `[rows]`, or a list. Modules that read the encoder's output then run once a
            source.
        device: of the activations; default that of ``ids``.
        like: a batch before, of the same model: what was asked of it will be asked of this one,
            and all of it goes to the device at once.

    Attributes:
        asked: the partitions that were asked for.
        asked_within: those that were asked of the rows of single groups.

    Raises:
        RoutingError: when the ids are no vector of integers, or one is none of the languages.
    """

    def __init__(
        self,
        ids: Union[Tensor, List[int]],
        languages: Sequence[str],
        source_of: Union[Tensor, List[int], None] = None,
        device: Optional[torch.device] = None,
        like: Optional[LanguageBatch] = None,
    ) -> None:
        self.languages = tuple(languages)
        self.device = torch.device("cpu") if device is None else device
        if isinstance(ids, Tensor):
            self.device = ids.device if device is None else device
            ids = self._read(ids)
        self._ids = ids
        self.source_of: Optional[Tensor] = None
        if isinstance(source_of, Tensor):
            self.source_of = source_of.to(self.device)
            source_of = values_of(source_of)
        self._sources = source_of
        self._partitions: Dict[Tuple[Partition, int], RowPartition] = {}
        self.asked: Dict[Partition, None] = {}
        self.asked_within: Dict[Partition, None] = {}
        self._expected = [] if like is None else list(like.asked)
        self._expected_within = [] if like is None else list(like.asked_within)

    def _read(self, ids: Tensor) -> List[int]:
        if ids.dim() != 1 or ids.is_floating_point():
            raise RoutingError(
                f"lang_ids: expected one integer a row, found {ids.dtype} of shape "
                f"{tuple(ids.shape)}"
            )
        known = values_of(ids)
        wrong = [i for i in known if not 0 <= i < len(self.languages)]
        if wrong:
            raise RoutingError(
                f"lang_ids: {wrong[0]} is none of the {len(self.languages)} languages "
                f"({', '.join(self.languages)})"
            )
        return known

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

    def partition(self, group_of: Partition, rows: int, module: str) -> RowPartition:
        """Return which of ``rows`` rows belong to which group.

        Args:
            group_of: the group of each language, `[languages]`.
            rows: how many rows the activation has.
            module: named in errors.
        """
        self.asked[group_of] = None
        found = self._partitions.get((group_of, rows))
        if found is None:
            self._prepare(group_of, self.ids(rows, module))
            found = self._partitions[group_of, rows]
        return found

    def by_language(self, rows: int, module: str) -> RowPartition:
        """Return the partition in which every language is its own group."""
        return self.partition(tuple(range(len(self.languages))), rows, module)

    def _prepare(self, group_of: Partition, ids: List[int]) -> None:
        """Work out a partition, and with it those that are going to be asked for."""
        expected = self._expected if len(ids) == len(self._ids) else []
        wanted = [
            one
            for one in dict.fromkeys([group_of, *expected])
            if (one, len(ids)) not in self._partitions
        ]
        parcel = Parcel()
        shared = self._sources if len(ids) == len(self._ids) else None
        drafts = [draft_partition(one, ids, shared, parcel, self._part) for one in wanted]
        tensors = parcel.send(self.device)
        for one, draft in zip(wanted, drafts):
            self._partitions[one, len(ids)] = draft.open(tensors)

    def _part(self, ids: List[int], sources: Optional[List[int]], parcel: Parcel) -> DraftPart:
        part = LanguageBatch(ids, self.languages, sources, self.device)
        part.asked = self.asked_within
        within = {
            one: draft_partition(one, ids, sources, parcel, part._part)
            for one in self._expected_within
        }
        return DraftPart(part, None if sources is None else parcel.add(sources), within)

    def settle(self, source_of: Optional[Tensor], found: Dict[Partition, RowPartition]) -> None:
        """Take the tensors that were still to come, and partitions of all rows."""
        self.source_of = source_of
        self._partitions.update({(one, len(self)): parts for one, parts in found.items()})


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
        batch = LanguageBatch(ids, self.languages, source_of, like=self._latest)
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
