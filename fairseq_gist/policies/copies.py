"""What a group of languages gets of a unit that is split: a copy, or a low-rank difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.base import option
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.low_rank import Projection, low_rank_units

__all__ = [
    "COPIES",
    "CopyKind",
    "FullCopies",
    "KindOfCopies",
    "LowRankCopies",
    "RankOption",
    "kind_of_copies",
]

COPIES = ("full", "low-rank")

Groups = Iterable[Iterable[str]]


def _check_rank(rank: int) -> None:
    if rank < 1:
        raise OptionError(f"expected 1 or more, found {rank}")


@dataclass(frozen=True)
class RankOption:
    """The option of policies that make low-rank differences."""

    rank: int = option(
        16,
        "rank of low-rank differences",
        metavar="N",
        check=_check_rank,
        only_with=("copies", "low-rank"),
    )


@dataclass(frozen=True)
class KindOfCopies(RankOption):
    """The options of policies that can make copies of either kind."""

    copies: str = option(
        "full",
        "what a group of languages gets of a unit that is split: 'full', a copy of all of it; "
        "'low-rank', the product of two thin matrices (--rank) that is added to a projection which "
        "stays shared, and nothing of units that are no projections",
        choices=COPIES,
    )


class CopyKind:
    """How units are split, and what that costs.

    Args:
        situation: to decide in.
    """

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.sizes = situation.sizes

    def splittable(self, units: Sequence[str]) -> List[str]:
        """Return those of ``units`` that can be split, one at least.

        Raises:
            OptionError: when none can.
        """
        raise NotImplementedError

    def cost(self, unit: str, groups: int) -> int:
        """Return the parameters that ``unit`` has more in ``groups`` groups than in one."""
        raise NotImplementedError

    def parts(self, units: Mapping[str, Groups]) -> Tuple[Dict[str, Groups], Dict[str, int]]:
        """Return the units that a plan names where ``units`` are grouped so, and new ranks."""
        raise NotImplementedError


class FullCopies(CopyKind):
    """Every group but the first gets a copy of all of the unit."""

    def splittable(self, units: Sequence[str]) -> List[str]:
        """Return those of ``units`` that can be split; see :class:`CopyKind`."""
        return list(units)

    def cost(self, unit: str, groups: int) -> int:
        """Return the parameters that more groups take; see :class:`CopyKind`."""
        return (groups - 1) * self.sizes[unit]

    def parts(self, units: Mapping[str, Groups]) -> Tuple[Dict[str, Groups], Dict[str, int]]:
        """Return units and new ranks of a plan; see :class:`CopyKind`."""
        return dict(units), {}


class LowRankCopies(CopyKind):
    """Every group gets a difference to the unit, and where there are some already, a copy of one.

    Args:
        situation: to decide in.
        rank: of new differences.
    """

    def __init__(self, situation: Situation, rank: int) -> None:
        super().__init__(situation)
        self.rank = rank
        self._there = {low_rank_units(unit)[1] for unit in situation.so_far.low_rank}

    def splittable(self, units: Sequence[str]) -> List[str]:
        """Return those of ``units`` that can be split; see :class:`CopyKind`."""
        projections = self.situation.shape.projections
        found = [
            unit
            for unit in units
            if unit in self._there
            or (unit in projections and len(list(self.situation.groups_so_far(unit))) == 1)
        ]
        if not found:
            raise OptionError(
                f"low-rank: none of the {len(units)} units, '{units[0]}' first, is known to be a "
                "plain projection that all languages share; choose others (--units), and where "
                "they come from gradient statistics of an earlier version, record these anew",
                "copies",
            )
        for unit in found:
            if unit not in self._there:
                self._check_rank(unit, projections[unit])
        return found

    def _check_rank(self, unit: str, projection: Projection) -> None:
        if self.rank > min(projection):
            raise OptionError(
                f"{self.rank} is more than the {min(projection)} features of '{unit}', and a "
                "difference of its own rank is a whole copy; give less",
                "rank",
            )

    def cost(self, unit: str, groups: int) -> int:
        """Return the parameters that more groups take; see :class:`CopyKind`."""
        if unit in self._there:
            return (groups - 1) * self.sizes[unit]
        each = self.situation.shape.projections[unit].difference_size(self.rank)
        return groups * each if groups > 1 else 0

    def parts(self, units: Mapping[str, Groups]) -> Tuple[Dict[str, Groups], Dict[str, int]]:
        """Return units and new ranks of a plan; see :class:`CopyKind`."""
        split = [u for u, groups in units.items() if u not in self._there and len(list(groups)) > 1]
        return self.parts_of(units, split)

    def parts_of(
        self, units: Mapping[str, Groups], split: Sequence[str]
    ) -> Tuple[Dict[str, Groups], Dict[str, int]]:
        """Do as :meth:`parts` does, with differences to the units ``split``."""
        found: Dict[str, Groups] = {}
        for unit, groups in units.items():
            if unit in split:
                base, difference = low_rank_units(unit)
                found.update({base: [self.situation.languages], difference: groups})
            else:
                found[unit] = groups
        return found, dict.fromkeys(split, self.rank)


def kind_of_copies(situation: Situation, options: Any) -> CopyKind:
    """Return the kind that ``options``, a :class:`KindOfCopies`, ask for."""
    if options.copies == "full":
        return FullCopies(situation)
    return LowRankCopies(situation, options.rank)
