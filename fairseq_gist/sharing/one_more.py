"""A plan with one more language, which begins as a relative of its."""

from __future__ import annotations

from typing import Collection, List, Tuple

from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.partition import Partition
from fairseq_gist.sharing.plan import SharingPlan, Step

__all__ = ["parents_of", "with_language"]


def with_language(
    plan: SharingPlan, language: str, relative: str, own: Collection[str] = ()
) -> SharingPlan:
    """Return ``plan`` with ``language``, which everywhere has what ``relative`` has.

    It joins the relative's groups, but on the units in ``own``, and on those of which each of
    several languages has its own copy already (as of adapters): there it is a group of its own.

    Args:
        plan: of the model.
        language: none of the plan's.
        relative: one of the plan's.
        own: units, which ``plan`` need not name.

    Raises:
        PlanError: when the plan has the language, or lacks the relative.
    """
    known = ", ".join(plan.languages)
    if language in plan.languages:
        raise PlanError(f"the model has language '{language}' already, among {known}")
    if relative not in plan.languages:
        raise PlanError(f"the model has no language '{relative}'; it has {known}")
    units = {**plan.units, **{name: (plan.languages,) for name in own if name not in plan.units}}
    before = plan.provenance.get("added", [])
    added = [*(before if isinstance(before, list) else []), {"language": language, "as": relative}]
    return plan.replaced(
        languages=(*plan.languages, language),
        units={
            name: _with(groups, language, relative, name in own) for name, groups in units.items()
        },
        history=[
            Step(step.update, with_language(step.plan, language, relative).replaced(provenance={}))
            for step in plan.history
        ],
        provenance={**plan.provenance, "added": added},
    )


def parents_of(
    before: Partition, after: Partition, language: str, relative: str
) -> Tuple[int, ...]:
    """Return for each group of ``after`` the group of ``before`` whose copy it begins with."""
    place = {name: index for index, group in enumerate(before) for name in group}
    return tuple(
        place[next((name for name in group if name != language), relative)] for group in after
    )


def _with(groups: Partition, language: str, relative: str, is_own: bool) -> List[Tuple[str, ...]]:
    each_alone = len(groups) > 1 and all(len(group) == 1 for group in groups)
    if is_own or each_alone:
        return [*groups, (language,)]
    return [(*group, language) if relative in group else group for group in groups]
