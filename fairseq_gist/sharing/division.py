"""Dividing a feed-forward block's neurons: some for all languages, some for each group."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from fairseq_gist.errors import PlanError

__all__ = ["OWN", "SHARED", "Division", "check_neurons", "divided_units"]

SHARED, OWN = "shared", "own"
"""Names of the two parts of a divided projection; units are ``<path>.shared``, ``<path>.own``."""

_MOST_NEURONS = 1 << 22
"""Of all blocks of a model together: the memory that a plan takes is bounded by it."""

_RANGE = re.compile(r"^([0-9]{1,9})(?:-([0-9]{1,9}))?$")


@dataclass(frozen=True)
class Division:
    """Which neurons of a feed-forward block each group of languages may own.

    The block is ``second(activation(first(x)))``. The neurons named here (rows of the first
    projection's weight, columns of the second's) become modules of their own, which a plan can
    split like any other; all languages share the rest. The second projection's bias stays with
    what is shared.

    Attributes:
        second: module path of the projection that reads the neurons.
        neurons: how many there are.
        own: those that are divided off, ascending, some but not all of them.

    Raises:
        PlanError: when they are none or all, or not neurons.
    """

    second: str
    neurons: int
    own: Tuple[int, ...]

    def __post_init__(self) -> None:
        if list(self.own) != sorted(set(self.own)):
            raise PlanError(f"'{self.second}': neurons should be ascending, each once")
        if self.own and not 0 <= self.own[0] <= self.own[-1] < self.neurons:
            raise PlanError(
                f"'{self.second}': expected neurons from 0 to {self.neurons - 1}, found "
                f"{self.own[0]} to {self.own[-1]}"
            )
        if not 0 < len(self.own) < self.neurons:
            raise PlanError(
                f"'{self.second}': expected some of its {self.neurons} neurons, found "
                f"{len(self.own)}; to share or split all of them, leave the division out"
            )

    @property
    def shared(self) -> Tuple[int, ...]:
        """The neurons that all languages share, ascending."""
        own = set(self.own)
        return tuple(unit for unit in range(self.neurons) if unit not in own)

    @property
    def shared_fraction(self) -> float:
        """How much of the block all languages share, above 0 and below 1."""
        return 1.0 - len(self.own) / self.neurons

    def to_json(self) -> Dict[str, Any]:
        """Return what a plan file says of it, neurons as ranges (``0-3,7``)."""
        return {"second": self.second, "hidden": self.neurons, "own": _as_ranges(self.own)}

    @classmethod
    def from_json(cls, first: str, content: Any) -> Division:
        """Read what :meth:`to_json` wrote; ``first`` names the block in errors.

        Raises:
            PlanError: when that isn't one.
        """
        if not isinstance(content, Mapping) or set(content) != {"second", "hidden", "own"}:
            raise PlanError(
                f"division of '{first}': expected 'second', 'hidden' and 'own', found {content!r}"
            )
        second, hidden, own = content["second"], content["hidden"], content["own"]
        if not isinstance(second, str) or not isinstance(own, str) or type(hidden) is not int:
            raise PlanError(
                f"division of '{first}': expected a module path, a number and ranges such as "
                f"'0-3,7', found {second!r}, {hidden!r} and {own!r}"
            )
        if hidden < 2:
            raise PlanError(f"division of '{first}': expected two neurons or more, found {hidden}")
        try:
            return cls(second, hidden, tuple(_from_ranges(own, hidden)))
        except PlanError as error:
            raise PlanError(f"division of '{first}': {error}") from None


def check_neurons(divisions: Mapping[str, Any]) -> None:
    """Raise PlanError for divisions, as they stand in a file, of more neurons than models have."""
    count = 0
    for first, content in divisions.items():
        hidden = content.get("hidden") if isinstance(content, Mapping) else None
        count += hidden if type(hidden) is int and hidden > 0 else 0
        if count > _MOST_NEURONS:
            raise PlanError(
                f"division of '{first}': expected at most {_MOST_NEURONS:,} neurons in all "
                f"divisions, found {hidden!r} in this one"
            )


def divided_units(first: str, division: Division) -> Tuple[str, str, str, str]:
    """Return the units a division makes of two projections, the shared ones first."""
    paths = (first, division.second)
    shared_first, shared_second = (f"{path}.{SHARED}" for path in paths)
    own_first, own_second = (f"{path}.{OWN}" for path in paths)
    return shared_first, shared_second, own_first, own_second


def _as_ranges(numbers: Iterable[int]) -> str:
    ranges: List[List[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{low}-{high}" if high > low else f"{low}" for low, high in ranges)


def _from_ranges(text: str, hidden: int) -> List[int]:
    numbers: List[int] = []
    for part in text.split(","):
        match = _RANGE.match(part.strip())
        if match is None:
            raise PlanError(f"expected ranges such as '0-3,7', found '{part.strip()}'")
        low = int(match.group(1))
        high = int(match.group(2) or low)
        if numbers and low <= numbers[-1]:
            raise PlanError(
                f"neurons should be ascending, each once; found '{part.strip()}' after "
                f"{numbers[-1]}"
            )
        if not low <= high < hidden:  # a typing error shouldn't fill the memory
            raise PlanError(
                f"expected ascending neurons from 0 to {hidden - 1}, found '{part.strip()}'"
            )
        numbers += range(low, high + 1)
    return numbers
