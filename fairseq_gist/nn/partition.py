"""How the rows of a batch are divided among the groups of a unit.

What that takes are positions on the device of the activations, which go there all at once: a
partition is drafted first, with the numbers of its tensors in a parcel, and opened when that has
arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from torch import Tensor

from fairseq_gist.nn.rows import Parcel

if TYPE_CHECKING:
    from fairseq_gist.nn.routing import LanguageBatch

__all__ = [
    "Draft",
    "DraftPart",
    "PaddedRows",
    "Partition",
    "RowPartition",
    "draft_partition",
]

PADDING = 2.0
"""How many times as many rows there may be at most when groups are filled up."""

Partition = Tuple[int, ...]
"""The group of each language, `[languages]`."""


@dataclass(frozen=True)
class PaddedRows:
    """Places for the rows of every group, as many for each as the largest one needs.

    Attributes:
        index: the row in each place, group after group, `[groups * places]`; any row in one that
            none fills.
        inverse: the place of each row, `[rows]`.
        filled: 1 for a place with a row of its own, else 0, `[groups * places]`; None where all
            have one.
    """

    index: Tensor
    inverse: Tensor
    filled: Optional[Tensor]


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
        padded: the same groups, filled up; None where that would be too many rows.
    """

    groups: Tuple[int, ...]
    rows: Tuple[Tensor, ...]
    inverse: Tensor
    batches: Tuple[LanguageBatch, ...]
    source_rows: Tuple[Tensor, ...] = ()
    sources: Tuple[Tensor, ...] = ()
    spread: Optional[Tensor] = None
    padded: Optional[PaddedRows] = None


class DraftPart(NamedTuple):
    """The rows of one group, whose tensors are still to come."""

    batch: LanguageBatch
    source_of: Optional[int]
    within: Dict[Partition, Draft]


class DraftPadding(NamedTuple):
    """Padded rows whose tensors are still to come."""

    rows: int
    inverse: int
    filled: Optional[int]

    def open(self, tensors: Sequence[Tensor]) -> PaddedRows:
        """Return them with their ``tensors``."""
        filled = None if self.filled is None else tensors[self.filled]
        return PaddedRows(tensors[self.rows], tensors[self.inverse], filled)


class Draft:
    """A partition whose tensors are still to come: their numbers in a parcel instead."""

    def __init__(self, groups: Tuple[int, ...], rows: List[int], inverse: int) -> None:
        self.groups, self.rows, self.inverse = groups, rows, inverse
        self.source_rows: List[int] = []
        self.sources: List[int] = []
        self.spread: Optional[int] = None
        self.padded: Optional[DraftPadding] = None
        self.parts: List[DraftPart] = []

    def open(self, tensors: Sequence[Tensor]) -> RowPartition:
        """Return the partition with its ``tensors``."""
        for part in self.parts:
            part.batch.settle(
                None if part.source_of is None else tensors[part.source_of],
                {one: draft.open(tensors) for one, draft in part.within.items()},
            )
        return RowPartition(
            self.groups,
            tuple(tensors[one] for one in self.rows),
            tensors[self.inverse],
            tuple(part.batch for part in self.parts),
            tuple(tensors[one] for one in self.source_rows),
            tuple(tensors[one] for one in self.sources),
            None if self.spread is None else tensors[self.spread],
            None if self.padded is None else self.padded.open(tensors),
        )


def draft_partition(
    group_of: Partition,
    ids: Sequence[int],
    sources: Optional[Sequence[int]],
    parcel: Parcel,
    part: Callable[[List[int], Optional[List[int]], Parcel], DraftPart],
) -> Draft:
    """Return a partition of rows, its positions put into ``parcel``.

    Args:
        group_of: the group of each language.
        ids: the language of each row, `[rows]`.
        sources: the source of each row where rows share them, `[rows]`.
        parcel: for what goes to the device.
        part: makes the batch of one group from the ids of its rows, and their sources among those
            that the group needs.
    """
    members: Dict[int, List[int]] = {}
    for row, language in enumerate(ids):
        members.setdefault(group_of[language], []).append(row)
    groups = tuple(sorted(members))
    order = [row for group in groups for row in members[group]]
    draft = Draft(
        groups, [parcel.add(members[group]) for group in groups], parcel.add(_inverse(order))
    )
    draft.padded = _padding([members[group] for group in groups], len(ids), parcel)
    spread = [0] * len(ids)
    start = 0
    for group in groups:
        local = None
        if sources is not None:
            of_rows = [sources[row] for row in members[group]]
            needed = sorted(set(of_rows))
            place = {source: index for index, source in enumerate(needed)}
            local = [place[source] for source in of_rows]
            for row, index in zip(members[group], local):
                spread[row] = start + index
            start += len(needed)
            draft.source_rows.append(parcel.add(of_rows))
            draft.sources.append(parcel.add(needed))
        draft.parts.append(part([ids[row] for row in members[group]], local, parcel))
    if sources is not None:
        draft.spread = parcel.add(spread)
    return draft


def _padding(groups: Sequence[List[int]], rows: int, parcel: Parcel) -> Optional[DraftPadding]:
    places = max(map(len, groups), default=0)
    if len(groups) < 2 or len(groups) * places > PADDING * rows:
        return None
    index: List[int] = []
    filled: List[int] = []
    inverse = [0] * rows
    for members in groups:
        for place, row in enumerate(members, start=len(index)):
            inverse[row] = place
        spare = places - len(members)
        index += members + members[:1] * spare
        filled += [1] * len(members) + [0] * spare
    return DraftPadding(
        parcel.add(index), parcel.add(inverse), None if all(filled) else parcel.add(filled)
    )


def _inverse(order: Sequence[int]) -> List[int]:
    inverse = [0] * len(order)
    for position, row in enumerate(order):
        inverse[row] = position
    return inverse
