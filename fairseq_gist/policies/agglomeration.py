"""From one language a group to the budget, by joining pairs of languages in a given order."""

from __future__ import annotations

import logging
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.base import Policy
from fairseq_gist.policies.copies import CopyKind, kind_of_copies
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.budget import parse_budget

__all__ = [
    "FillsBudget",
    "Join",
    "agglomerate",
    "check_room",
    "indices_so_far",
    "room_for_all",
    "size_so_far",
]

logger = logging.getLogger(__name__)


class Join(NamedTuple):
    """Two languages whose groups become one on a unit."""

    unit: str
    one: str
    other: str


class FillsBudget(Policy):
    """A policy that shares until a model fits its budget, made of copies of either kind."""

    def check(self, situation: Situation) -> None:
        """Say where the budget leaves nothing to decide.

        Raises:
            OptionError: where no unit can have copies of the kind.
        """
        copies = kind_of_copies(situation, self.options)
        units = copies.splittable(situation.chosen())
        _warn_of_room(situation, units, self.options.size_budget, copies)


def agglomerate(
    situation: Situation,
    units: Sequence[str],
    joins: Iterable[Join],
    budget: str,
    copies: CopyKind,
) -> Dict[str, List[List[str]]]:
    """Return the groups that one joins from fully language-specific until the model fits.

    Args:
        situation: of the model; its units that aren't decided on stay as they are.
        units: to decide on.
        joins: in the order to make them; what is together already is skipped. They must not join
            what is separated so far.
        budget: see :func:`fairseq_gist.sharing.budget.parse_budget`.
        copies: what groups get.

    Raises:
        OptionError: when the budget is below the shared model, or below the plan so far.
        PlanError: when a unit is split of unknown size that isn't decided on.
    """
    limit = parse_budget(budget, situation.shape.shared_parameters)
    languages = situation.languages
    count = dict.fromkeys(units, len(languages))
    groups = {unit: {language: [language] for language in languages} for unit in units}
    size = _size_apart(situation, units, copies)
    for unit, one, other in joins:
        if size <= limit:
            break
        own = groups[unit]
        if own[one] is own[other]:
            continue
        joined = own[one] + own[other]
        own.update(dict.fromkeys(joined, joined))
        size -= copies.cost(unit, count[unit]) - copies.cost(unit, count[unit] - 1)
        count[unit] -= 1
    check_room(size, limit, budget)
    return {
        unit: list({id(group): group for group in own.values()}.values())
        for unit, own in groups.items()
    }


def room_for_all(situation: Situation, units: Sequence[str], budget: str, copies: CopyKind) -> bool:
    """Whether the budget lets every language have its own copy of all ``units``.

    Then nothing has to be shared, and no order of joins makes any difference.
    """
    limit = parse_budget(budget, situation.shape.shared_parameters)
    return _size_apart(situation, units, copies) <= limit


def _warn_of_room(
    situation: Situation, units: Sequence[str], budget: str, copies: CopyKind
) -> None:
    """Say where a budget is so large that nothing is decided within it."""
    if not room_for_all(situation, units, budget, copies):
        return
    shared = situation.shape.shared_parameters
    size = _size_apart(situation, units, copies)
    logger.warning(
        f"--size-budget {budget}: with a copy for every language of each of the {len(units)} units "
        f"that are decided on, the model has {size / shared:.2f} times its parameters and fits, so "
        "all of them are split and nothing is decided; give less"
    )


def _size_apart(situation: Situation, units: Sequence[str], copies: CopyKind) -> int:
    more = sum(copies.cost(unit, len(situation.languages)) for unit in units)
    return size_so_far(situation, but_shared=units) + more


def size_so_far(situation: Situation, but_shared: Iterable[str] = ()) -> int:
    """Return the parameters of the model as it is, but for units that count as shared.

    Raises:
        PlanError: when a unit of unknown size is split.
        StatisticsError: the same, where there are statistics.
    """
    plan = situation.plan(dict.fromkeys(but_shared, (situation.languages,)))
    # of what is shared it doesn't matter how large it is, and that may not be known
    sizes = {**dict.fromkeys(plan.units, 0), **plan.sizes}
    return plan.size(situation.shape.shared_parameters, sizes)


def check_room(size: int, limit: int, budget: str) -> None:
    """Raise OptionError when the model is too large for the budget already."""
    if size > limit:
        raise OptionError(
            f"{budget} is {limit:,} parameters, but the plan so far already has {size:,}; a later "
            "differentiation can only split further",
            "size_budget",
        )


def indices_so_far(situation: Situation, unit: str) -> Tuple[List[int], ...]:
    """Return the groups of the languages' indices on ``unit`` in the plan so far."""
    position = {language: index for index, language in enumerate(situation.languages)}
    return tuple(
        [position[language] for language in group] for group in situation.groups_so_far(unit)
    )
