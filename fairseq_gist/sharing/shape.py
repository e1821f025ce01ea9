"""What has to be known of a model to decide what its languages share: names, places and sizes.

A shape is data: made from a model (:func:`fairseq_gist.surgery.shape.shape_of`), from the state
dict of a checkpoint, or from gradient statistics. Everything about the size of a plan, about what a
plan must speak of and about which units are meant by a pattern is answered here.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Dict, Iterable, List, Mapping, Optional, Protocol, Sequence, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.sharing.division import OWN, SHARED, Division
from fairseq_gist.sharing.low_rank import BASE, DIFFERENCE, Projection
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["BlockShape", "ModelShape", "Naming", "Place", "UnitShape", "matches_none", "matching"]

_PARTS = (SHARED, OWN, BASE, DIFFERENCE)

_SIMILAR = 0.6
"""Ratio, of difflib's, from which on a name may have been meant."""

_ANY_BELOW = r"\..*"


@dataclass(frozen=True)
class Place:
    """Where in its model a unit is, in words that are the same for every architecture.

    Attributes:
        stack: what the layers belong to (``decoder``), or what is left of a unit outside them.
        layer: number of its layer, counted from 0; None outside the layers.
        layer_path: path of its layer (``decoder.layers.3``); outside the layers its own.
        block: path of the attention or feed-forward block it belongs to; its own where it stands
            alone.
        kind: what it is inside the layer (``self_attn.q_proj``) or the stack (``layer_norm``), as
            fairseq's transformer calls it.
    """

    stack: str
    layer: Optional[int]
    layer_path: str
    block: str
    kind: str

    def of_part(self, whole: str, part: str) -> Place:
        """Return the place of one part of a projection, ``whole`` being its path.

        The neurons of a divided one are a block by themselves; differences stay in its block.
        """
        if self.layer is None:
            return replace(
                self,
                layer_path=f"{whole}.{part}",
                block=f"{whole}.{part}",
                kind=f"{self.kind}.{part}",
            )
        block = whole if part in (SHARED, OWN) else self.block
        return replace(self, block=block, kind=f"{self.kind}.{part}")


class Naming(Protocol):
    """What an architecture says of a unit by its name; it need not think of parts."""

    def place(self, name: str) -> Place:
        """Return where the unit is."""

    def is_default(self, name: str) -> bool:
        """Return whether plans must speak of it, and policies decide on it unless told."""

    def is_for_neurons(self, name: str) -> bool:
        """Return whether policies on single neurons decide on its block unless told."""


@dataclass(frozen=True)
class UnitShape:
    """One unit: its place and the size of one copy.

    Attributes:
        name: module path.
        parameters: of one copy.
        place: where it is.
        is_default: whether a plan that speaks of the units like it must speak of it too, and
            policies decide on it unless they are told of others.
        is_for_neurons: whether policies on single neurons decide on its block unless told.
    """

    name: str
    parameters: int
    place: Place
    is_default: bool = False
    is_for_neurons: bool = False

    @classmethod
    def of(cls, name: str, parameters: int, naming: Naming) -> UnitShape:
        """Return the shape of a unit, which may be a part of a projection."""
        whole, _, part = name.rpartition(".")
        if whole and part in _PARTS:
            return cls.of(whole, 0, naming).part(part, parameters)
        return cls(
            name,
            parameters,
            naming.place(name),
            naming.is_default(name),
            naming.is_for_neurons(name),
        )

    def part(self, part: str, parameters: int) -> UnitShape:
        """Return the shape of one part of this projection."""
        name = f"{self.name}.{part}"
        return UnitShape(name, parameters, self.place.of_part(self.name, part), self.is_default)


@dataclass(frozen=True)
class BlockShape:
    """A feed-forward block, ``second(activation(first(x)))``, whose neurons can be divided.

    Attributes:
        second: path of the projection that reads the neurons.
        neurons: how many there are.
        first_parameters: parameters of one neuron in the first projection.
        second_parameters: parameters of one neuron in the second projection.
    """

    second: str
    neurons: int
    first_parameters: int
    second_parameters: int

    def part_sizes(self, second: int, division: Division) -> Tuple[int, int, int, int]:
        """Return the parameters of what a division makes, in the order of ``divided_units``.

        Args:
            second: parameters of the whole second projection; what belongs to no neuron stays with
                the shared part.
            division: of this block.
        """
        shared, own = len(division.shared), len(division.own)
        first_own, second_own = self.first_parameters * own, self.second_parameters * own
        return self.first_parameters * shared, second - second_own, first_own, second_own


@dataclass(frozen=True)
class ModelShape:
    """Names, places and sizes of the units of a model, as it is now.

    Attributes:
        languages: of the model, in alphabetical order.
        units: by name, in the model's order; of projections in parts these.
        shared_parameters: parameters of the whole model, were everything shared.
        blocks: feed-forward blocks that are neither split nor divided yet, by the name of their
            first projection.
        projections: units that are plain projections, with their widths: the groups of languages
            may own low-rank differences to these.
        refused: what is no unit though it has parameters, and why; empty where that isn't known.
    """

    languages: Tuple[str, ...]
    units: Mapping[str, UnitShape]
    shared_parameters: int
    blocks: Mapping[str, BlockShape] = field(default_factory=dict)
    projections: Mapping[str, Projection] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "languages", tuple(sorted(self.languages)))
        for name in ("units", "blocks", "projections", "refused"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @classmethod
    def of(
        cls,
        languages: Sequence[str],
        sizes: Mapping[str, int],
        shared_parameters: int,
        naming: Naming,
        blocks: Optional[Mapping[str, BlockShape]] = None,
        projections: Optional[Mapping[str, Projection]] = None,
        refused: Optional[Mapping[str, str]] = None,
    ) -> ModelShape:
        """Return the shape of units of which names and parameters are known.

        Args:
            languages: of the model.
            sizes: parameters of one copy of each unit, by name, in the model's order.
            shared_parameters: see the attributes.
            naming: of the model's architecture.
            blocks: see the attributes.
            projections: see the attributes.
            refused: see the attributes.
        """
        units = {name: UnitShape.of(name, size, naming) for name, size in sizes.items()}
        return cls(
            tuple(languages),
            units,
            shared_parameters,
            blocks or {},
            projections or {},
            refused or {},
        )

    @property
    def sizes(self) -> Dict[str, int]:
        """Parameters of one copy of each unit."""
        return {name: unit.parameters for name, unit in self.units.items()}

    @property
    def default(self) -> List[str]:
        """The units that a plan must speak of."""
        return [name for name, unit in self.units.items() if unit.is_default]

    def size_of(self, plan: SharingPlan) -> int:
        """Return the number of parameters of the model when it follows ``plan``.

        Raises:
            PlanError: when the plan names units that the model hasn't, in parts as it says.
        """
        return plan.size(self.shared_parameters, self.after(plan).sizes)

    def select(self, pattern: Optional[str] = None, neurons: bool = False) -> List[str]:
        """Return the units whose whole name matches ``pattern``, one at least, in their order.

        Args:
            pattern: regular expression; None for the units that are decided on by default.
            neurons: whether the default is those for policies on single neurons instead.

        Raises:
            OptionError: when it is no regular expression, or nothing matches.
        """
        if pattern is not None:
            chosen = matching(pattern, self.units)
            if not chosen:
                raise OptionError(self._nothing_matches(pattern), "units")
            return chosen
        if neurons:
            chosen = [name for name, unit in self.units.items() if unit.is_for_neurons]
            what = "is a projection of an encoder's feed-forward block that isn't divided yet"
        else:
            chosen, what = self.default, "is of those that are split by default"
        if not chosen:
            raise OptionError(
                f"none of the model's {len(self.units)} units {what}; choose others", "units"
            )
        return chosen

    def _nothing_matches(self, pattern: str) -> str:
        name = next(iter(matching(pattern, self.refused)), None)
        if name is not None:
            return f"'{name}' can't be split: {self.refused[name]}"
        return matches_none(pattern, list(self.units))

    def divided(self, divisions: Mapping[str, Division]) -> ModelShape:
        """Return the shape of the model with the neurons of more blocks divided.

        Divisions of blocks that this shape doesn't have, because it has their parts, are left out.
        """
        sizes: Dict[str, Dict[str, int]] = {}
        for first, division in divisions.items():
            block = self.blocks.get(first)
            if block is None or block.second != division.second:
                continue
            own = block.part_sizes(self.units[division.second].parameters, division)
            sizes[first] = {SHARED: own[0], OWN: own[2]}
            sizes[division.second] = {SHARED: own[1], OWN: own[3]}
        units: Dict[str, UnitShape] = {}
        for name, unit in self.units.items():
            parts = [unit.part(part, size) for part, size in sizes.get(name, {}).items()]
            units.update({part.name: part for part in parts or [unit]})
        left = {first: block for first, block in self.blocks.items() if first not in sizes}
        plain = {name: own for name, own in self.projections.items() if name in units}
        return replace(self, units=units, blocks=left, projections=plain)

    def with_differences(self, low_rank: Mapping[str, int]) -> ModelShape:
        """Return the shape of the model with low-rank differences to more projections.

        Ranks of projections that this shape doesn't have, because it has their parts, are left out.

        Args:
            low_rank: name of the projection -> rank.
        """
        units: Dict[str, UnitShape] = {}
        for name, unit in self.units.items():
            if name not in low_rank or name not in self.projections:
                units[name] = unit
                continue
            size = self.projections[name].difference_size(low_rank[name])
            base, difference = unit.part(BASE, unit.parameters), unit.part(DIFFERENCE, size)
            units.update({base.name: base, difference.name: difference})
        blocks = {
            first: block
            for first, block in self.blocks.items()
            if first in units and block.second in units
        }
        plain = {name: own for name, own in self.projections.items() if name in units}
        return replace(self, units=units, blocks=blocks, projections=plain)

    def after(self, plan: SharingPlan) -> ModelShape:
        """Return the shape of the model with what ``plan`` divides, and adds differences to."""
        return self.divided(plan.divisions).with_differences(plan.low_rank)

    def completed(self, plan: SharingPlan, before: Optional[SharingPlan] = None) -> SharingPlan:
        """Return ``plan`` with the units that it doesn't decide on, as they are so far.

        Args:
            plan: of this model.
            before: what the model follows; None where everything is shared.
        """
        so_far = {} if before is None else before.units
        divisions = {} if before is None else dict(before.divisions)
        low_rank = {} if before is None else dict(before.low_rank)
        after = self.after(plan)
        units: Dict[str, Iterable[Iterable[str]]] = {
            name: [plan.languages] for name in after.default
        }
        units.update({name: groups for name, groups in so_far.items() if name in after.units})
        units.update(plan.units)
        sizes = {name: after.units[name].parameters for name in units if name in after.units}
        return plan.replaced(
            units=units,
            divisions={**divisions, **plan.divisions},
            low_rank={**low_rank, **plan.low_rank},
            sizes=sizes,
            shared_parameters=self.shared_parameters,
        )


def matches_none(pattern: str, names: Sequence[str]) -> str:
    """Return what to say where ``pattern`` matches none of ``names``: which there are, and how."""
    ends = f", which go from '{names[0]}' to '{names[-1]}'" if names else ""
    blocks = {
        ".".join(parts[:depth]): depth < len(parts)
        for name in names
        for parts in [name.split(".")]
        for depth in range(2, len(parts) + 1)
        if not parts[depth - 1].isdigit()
    }
    written = re.sub(r"\\d|[^\w.]", "", pattern).strip(".")
    stack, _, last = written.rpartition(".")
    same = [name for name in blocks if name.split(".")[0] == written.split(".")[0]]
    below = [name for name in same if name.rpartition(".")[0] == stack and last in name]
    near = difflib.get_close_matches(written, below or same or blocks, 1, _SIMILAR)
    hint = f"; try '{re.escape(near[0])}{_ANY_BELOW * blocks[near[0]]}'" if near else ""
    return f"'{pattern}' matches none of the {len(names)} units{ends}{hint}"


def matching(pattern: str, names: Iterable[str]) -> List[str]:
    """Return the names that ``pattern`` matches as a whole, in their order.

    Raises:
        OptionError: when it is no regular expression.
    """
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise OptionError(f"'{pattern}' is no regular expression: {error}", "units") from None
    return [name for name in names if regex.fullmatch(name)]
