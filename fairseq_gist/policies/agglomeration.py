"""From one language a group to the budget, by joining pairs of languages in a given order."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import Partition, SharingPlan

__all__ = ["Join", "Undecided", "agglomerate", "check_room", "partition_so_far"]


class Join(NamedTuple):
    """Two languages whose groups become one on a unit."""

    unit: str
    one: str
    other: str


class Undecided(NamedTuple):
    """What a plan so far says of units that aren't decided on.

    Attributes:
        units: their partitions, which stay.
        parameters: parameters of one copy of each, as far as they are known.
        more: parameters that their copies add to the shared model.
        unknown: those that are split, but whose size isn't known.
    """

    units: Dict[str, Partition]
    parameters: Dict[str, int]
    more: int
    unknown: List[str]

    @classmethod
    def of(cls, within: Optional[SharingPlan], decided: Iterable[str]) -> Undecided:
        """Return what ``within`` has beside the ``decided`` units."""
        if within is None:
            return cls({}, {}, 0, [])
        sizes = within.sizes
        mine = set(decided)
        units = {unit: groups for unit, groups in within.units.items() if unit not in mine}
        known = {unit: sizes[unit] for unit in units if unit in sizes}
        more = sum((len(units[unit]) - 1) * size for unit, size in known.items())
        unknown = [u for u, groups in units.items() if len(groups) > 1 and u not in known]
        return cls(units, known, more, unknown)

    def check_known(self) -> None:
        """Raise PlanError when a unit is split whose size isn't known."""
        if self.unknown:
            raise PlanError(
                f"the plan so far splits '{self.unknown[0]}', which isn't decided on, so its size "
                "isn't known; write its number of parameters into the plan ('sizes')"
            )


def agglomerate(
    languages: Sequence[str],
    unit_parameters: Mapping[str, int],
    shared_parameters: int,
    budget: str,
    joins: Iterable[Join],
    within: Optional[SharingPlan],
    provenance: Mapping[str, Any],
) -> SharingPlan:
    """Return the plan that one joins from fully language-specific until it fits the budget.

    Args:
        languages: of the model.
        unit_parameters: parameters of one copy of each unit to decide on.
        shared_parameters: parameters of the whole, fully shared model.
        budget: see :func:`fairseq_gist.sharing.budget.parse_budget`.
        joins: in the order to make them; what is together already is skipped. They must not join
            what ``within`` separates.
        within: its units that aren't decided on stay as they are.
        provenance: what the policy has to say of itself, ``policy`` first.

    Raises:
        OptionError: when the budget is below the shared model, or below ``within``.
        PlanError: when ``within`` splits a unit of unknown size that isn't decided on.
    """
    limit = parse_budget(budget, shared_parameters)
    kept = Undecided.of(within, unit_parameters)
    kept.check_known()
    groups = {unit: {language: [language] for language in languages} for unit in unit_parameters}
    size = shared_parameters + kept.more + sum(unit_parameters.values()) * (len(languages) - 1)
    for unit, one, other in joins:
        if size <= limit:
            break
        own = groups[unit]
        if own[one] is own[other]:
            continue
        joined = own[one] + own[other]
        own.update(dict.fromkeys(joined, joined))
        size -= unit_parameters[unit]
    check_room(size, limit, budget)
    units: Dict[str, Iterable[Iterable[str]]] = {**kept.units}
    for unit, own in groups.items():
        units[unit] = list({id(group): group for group in own.values()}.values())
    return SharingPlan(
        languages,
        units,
        {"policy": provenance["policy"], "size_budget": budget, **provenance},
        sizes={**kept.parameters, **unit_parameters},
        shared_parameters=shared_parameters,
    )


def check_room(size: int, limit: int, budget: str) -> None:
    """Raise OptionError when the model is too large for the budget already."""
    if size > limit:
        raise OptionError(
            f"--size-budget: {budget} is {limit:,} parameters, but the plan so far already has "
            f"{size:,}; a later differentiation can only split further"
        )


def partition_so_far(
    unit: str, languages: Sequence[str], within: Optional[SharingPlan]
) -> Tuple[List[int], ...]:
    """Return the groups of the languages' indices on ``unit``; one where ``within`` is silent."""
    if within is None or unit not in within.units:
        return (list(range(len(languages))),)
    position = {language: index for index, language in enumerate(languages)}
    return tuple([position[language] for language in group] for group in within.units[unit])
