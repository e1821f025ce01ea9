"""A sharing plan: for every unit of a model, which languages share one copy of it.

A plan is data: computed by a policy, drawn by hand, compared, kept inside a checkpoint. It is
immutable and always valid; ``docs/plan-format.md`` describes its JSON.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import MappingProxyType
from typing import (
    Any,
    Counter,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from fairseq_gist.errors import DataError, PlanError, shortened
from fairseq_gist.files import read_text, replacing
from fairseq_gist.sharing.division import OWN, SHARED, Division, check_neurons
from fairseq_gist.sharing.low_rank import check_ranks, low_rank_units
from fairseq_gist.sharing.partition import Partition, canonical
from fairseq_gist.sharing.plan_json import check_update, read_layout, write_layout
from fairseq_gist.sharing.refining import problems_of_refining

__all__ = ["Partition", "SharingPlan", "Step"]

_LONGEST = 500
"""Characters of an error, whatever names a file has in it."""

_PARTS = ("languages", "units", "provenance", "divisions", "low_rank")
_FACTS = ("sizes", "shared_parameters", "update", "history", "blocks", "is_default")


class Step(NamedTuple):
    """A plan, and how many updates the run had made when the model became what it describes."""

    update: int
    plan: SharingPlan


class SharingPlan:
    """The partition of every unit, with the languages and what is known of it beside.

    Only languages, units, divisions and ranks are what a plan *is*: equality and signature ask for
    nothing else.

    Args:
        languages: all the model's languages; kept in alphabetical order.
        units: module path of a unit -> its groups of languages, in any order.
        provenance: how the plan was made (policy, options, statistics): prose, JSON-like, for
            people; nothing is decided by it.
        divisions: module path of a feed-forward block's first projection -> how its neurons are
            divided. The parts are units (``<path>.shared``, ``<path>.own``), the whole is none.
        low_rank: module path of a projection that stays shared, and of which groups own low-rank
            differences -> their rank. Both are units (``<path>.base``, ``<path>.difference``), the
            whole is none.
        sizes: parameters of one copy of units, as far as they are known.
        shared_parameters: of the whole model with everything shared, where it is known.
        update: how many updates a training run had made when its model became what the plan says;
            None where no run did.
        history: the earlier differentiations of that run, in their order.
        blocks: what was found on feed-forward blocks, by the path of their first projection, with
            ``why`` in words.
        is_default: whether nobody asked for the plan: a model with adapters follows it until it
            is given another.

    Raises:
        PlanError: when a group names an unknown language, or a unit misses one or lists it twice,
            or a divided projection is named as a whole.
    """

    def __init__(
        self,
        languages: Sequence[str],
        units: Mapping[str, Iterable[Iterable[str]]],
        provenance: Optional[Mapping[str, Any]] = None,
        divisions: Optional[Mapping[str, Division]] = None,
        low_rank: Optional[Mapping[str, int]] = None,
        sizes: Optional[Mapping[str, int]] = None,
        shared_parameters: Optional[int] = None,
        update: Optional[int] = None,
        history: Iterable[Step] = (),
        blocks: Optional[Mapping[str, Mapping[str, Any]]] = None,
        is_default: bool = False,
    ) -> None:
        if isinstance(languages, str):
            raise PlanError(f"expected a list of languages, found '{languages}'")
        self.languages: Tuple[str, ...] = tuple(sorted(languages))
        if not self.languages:
            raise PlanError("a sharing plan needs at least one language, found none")
        if len(set(self.languages)) < len(self.languages):
            raise PlanError(f"the plan lists a language twice: {', '.join(self.languages)}")
        self.units: Mapping[str, Partition] = MappingProxyType(
            {name: canonical(name, groups, self.languages) for name, groups in units.items()}
        )
        self.provenance: Mapping[str, Any] = MappingProxyType(dict(provenance or {}))
        self.divisions: Mapping[str, Division] = MappingProxyType(dict(divisions or {}))
        self.sizes: Mapping[str, int] = MappingProxyType(dict(sizes or {}))
        self.shared_parameters, self.update, self.is_default = shared_parameters, update, is_default
        self.history: Tuple[Step, ...] = tuple(history)
        self.blocks: Mapping[str, Mapping[str, Any]] = MappingProxyType(dict(blocks or {}))
        _check_divisions(self.divisions, self.units)
        self.low_rank: Mapping[str, int] = MappingProxyType(check_ranks(low_rank or {}, self.units))

    @classmethod
    def shared(
        cls, languages: Sequence[str], units: Iterable[str], **provenance: Any
    ) -> SharingPlan:
        """Return the plan in which all languages share every unit."""
        return cls(languages, {unit: [languages] for unit in units}, provenance)

    @classmethod
    def language_specific(
        cls, languages: Sequence[str], units: Iterable[str], **provenance: Any
    ) -> SharingPlan:
        """Return the plan in which every language has its own copy of every unit."""
        alone = [[language] for language in languages]
        return cls(languages, dict.fromkeys(units, alone), provenance)

    def replaced(self, **parts: Any) -> SharingPlan:
        """Return this plan with other parts in place of its own, named as in the constructor."""
        own = {name: getattr(self, name) for name in (*_PARTS, *_FACTS)}
        return SharingPlan(**{**own, **parts})

    def divisions_beyond(self, before: Optional[SharingPlan]) -> Dict[str, Division]:
        """Return the divisions of this plan that ``before``, if there is one, doesn't have yet."""
        done = {} if before is None else before.divisions
        return {first: own for first, own in self.divisions.items() if first not in done}

    def low_rank_beyond(self, before: Optional[SharingPlan]) -> Dict[str, int]:
        """Return the ranks of this plan of projections that have no differences in ``before``."""
        done = {} if before is None else before.low_rank
        return {unit: rank for unit, rank in self.low_rank.items() if unit not in done}

    def group_of(self, unit: str) -> Tuple[int, ...]:
        """Return the index of each language's group on ``unit``, in the order of ``languages``."""
        groups = self.units[unit]
        return tuple(
            next(index for index, group in enumerate(groups) if language in group)
            for language in self.languages
        )

    @property
    def is_shared(self) -> bool:
        """Whether every unit is fully shared."""
        return all(len(groups) == 1 for groups in self.units.values())

    def refines(self, other: SharingPlan) -> bool:
        """Whether a model that follows ``other`` can become what this plan describes.

        Every group of this plan has to lie inside one of ``other``, of which a unit that isn't
        named counts as fully shared; neurons that ``other`` divides have to be divided in the same
        way, and differences it has to have the same rank. More blocks may be divided, and more
        projections have differences.
        """
        return next(problems_of_refining(self, other), None) is None

    def check_refines(self, before: SharingPlan) -> None:
        """Check that a model that follows ``before`` can become what this plan describes.

        Raises:
            PlanError: saying what is in the way.
        """
        for problem in problems_of_refining(self, before):
            raise PlanError(problem)

    def size(self, shared_parameters: int, unit_parameters: Mapping[str, int]) -> int:
        """Return the number of parameters of the model this plan describes.

        Args:
            shared_parameters: parameters of the whole, fully shared model.
            unit_parameters: parameters of one copy of each unit.

        Raises:
            PlanError: when a unit has no entry in ``unit_parameters``.
        """
        unknown = [unit for unit in self.units if unit not in unit_parameters]
        if unknown:
            raise PlanError(
                f"unit '{unknown[0]}' of the plan is none of the {len(unit_parameters)} whose "
                "number of parameters is known; was the plan made for another model?"
            )
        # of a difference the first, too, is more than what is shared
        added = {low_rank_units(unit)[1] for unit in self.low_rank}
        copies = (
            (len(groups) - (unit not in added)) * unit_parameters[unit]
            for unit, groups in self.units.items()
        )
        return shared_parameters + sum(copies)

    @property
    def parameters(self) -> Optional[int]:
        """Parameters of the model this plan describes; None where not all sizes are known."""
        if self.shared_parameters is None or not set(self.units) <= set(self.sizes):
            return None
        return self.size(self.shared_parameters, self.sizes)

    @property
    def steps(self) -> List[Step]:
        """The plans of the differentiations that led to this one, itself the last.

        Empty for a plan that no training run made.
        """
        if self.update is None:
            return []
        own = SharingPlan(self.languages, self.units, None, self.divisions, self.low_rank)
        return [*self.history, Step(self.update, own)]

    @property
    def signature(self) -> str:
        """Return a short fingerprint of languages and partitions; provenance does not count."""
        parts = {"languages": self.languages, "units": dict(sorted(self.units.items()))}
        if self.divisions:
            parts["divisions"] = {key: own.to_json() for key, own in sorted(self.divisions.items())}
        if self.low_rank:
            parts["low_rank"] = dict(sorted(self.low_rank.items()))
        content = json.dumps(parts, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the plan as JSON that a person can read and edit, one unit a line."""
        known: Dict[str, Any] = {
            "parameters": self.parameters,
            "shared_parameters": self.shared_parameters,
            "update": self.update,
            "history": [_step_to_json(step) for step in self.history],
            "default": self.is_default,
            "sizes": dict(self.sizes),
            "blocks": {first: dict(found) for first, found in self.blocks.items()},
            "divisions": {first: own.to_json() for first, own in self.divisions.items()},
            "low_rank": dict(self.low_rank),
        }
        head: Dict[str, Any] = {
            "signature": self.signature,
            "languages": self.languages,
            "provenance": dict(self.provenance),
            **{key: value for key, value in known.items() if _says_something(value)},
        }
        return write_layout(head, self.units)

    @classmethod
    def from_json(cls, text: str, source: str = "the plan") -> SharingPlan:
        """Read a plan; ``source`` names it in errors.

        Raises:
            PlanError: when the text is not a valid plan of a schema this version reads.
        """
        try:
            content = read_layout(text)
            languages = content["languages"]
            return cls(
                languages,
                content["units"],
                content.get("provenance"),
                _divisions_from_json(content),
                content.get("low_rank"),
                content.get("sizes"),
                content.get("shared_parameters"),
                content.get("update"),
                [_step_from_json(step, languages) for step in content.get("history", [])],
                content.get("blocks"),
                content.get("default", False),
            )
        except RecursionError:
            raise PlanError(f"{source}: no sharing plan is nested that deeply") from None
        except PlanError as error:
            raise PlanError(f"{source}: {shortened(error, _LONGEST)}") from None

    def save(self, path: Union[str, Path]) -> None:
        """Write the plan's JSON to ``path``, whole or not at all."""
        with replacing(path) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Union[str, Path]) -> SharingPlan:
        """Read a plan file, which somebody asks for by naming it.

        Raises:
            PlanError: naming the file, when it can't be read or is no valid plan.
        """
        try:
            text = read_text(path)
        except DataError as error:
            raise PlanError(f"cannot read the sharing plan {error}") from None
        except OSError as error:
            raise PlanError(f"cannot read the sharing plan {path}: {error}") from None
        return cls.from_json(text, source=str(path)).replaced(is_default=False)

    def __eq__(self, other: object) -> bool:
        """Plans are equal when they share the same parameters the same way."""
        if not isinstance(other, SharingPlan):
            return NotImplemented
        return (
            self.languages == other.languages
            and dict(self.units) == dict(other.units)
            and dict(self.divisions) == dict(other.divisions)
            and dict(self.low_rank) == dict(other.low_rank)
        )

    def __hash__(self) -> int:
        return hash(self.signature)

    def __reduce__(self) -> Tuple[Any, ...]:
        own = (getattr(self, name) for name in (*_PARTS, *_FACTS))
        return SharingPlan, tuple(dict(p) if isinstance(p, MappingProxyType) else p for p in own)

    def __repr__(self) -> str:
        split = sum(len(groups) > 1 for groups in self.units.values())
        return (
            f"SharingPlan({len(self.languages)} languages, {split} of {len(self.units)} units "
            f"split, {self.signature})"
        )


def _says_something(value: Any) -> bool:
    """Return whether a field has to be written."""
    return value is not None and value is not False and value not in ([], {})


def _divisions_from_json(content: Mapping[str, Any]) -> Dict[str, Division]:
    found = content.get("divisions", {})
    check_neurons(found)
    return {first: Division.from_json(first, own) for first, own in found.items()}


def _step_to_json(step: Step) -> Dict[str, Any]:
    content: Dict[str, Any] = {"update": step.update, "units": dict(step.plan.units)}
    if step.plan.divisions:
        content["divisions"] = {one: own.to_json() for one, own in step.plan.divisions.items()}
    if step.plan.low_rank:
        content["low_rank"] = dict(step.plan.low_rank)
    return content


def _step_from_json(content: Any, languages: Sequence[str]) -> Step:
    try:
        plan = SharingPlan(
            languages,
            content["units"],
            None,
            _divisions_from_json(content),
            content.get("low_rank"),
        )
        return Step(check_update(content["update"]), plan)
    except (AttributeError, KeyError, TypeError, ValueError, PlanError) as error:
        raise PlanError(f"its 'history' can't be read: {error}") from None


def _check_divisions(divisions: Mapping[str, Division], units: Mapping[str, Partition]) -> None:
    """Raise PlanError where a projection is divided twice, or divided and named as a whole."""
    divided: Counter[str] = Counter(list(divisions))
    divided.update(division.second for division in divisions.values())
    for path, times in divided.items():
        if times > 1:
            raise PlanError(f"the neurons of '{path}' are divided twice")
        if path in units:
            raise PlanError(
                f"unit '{path}' is divided: the plan should name its parts, '{path}.{SHARED}' and "
                f"'{path}.{OWN}'"
            )
