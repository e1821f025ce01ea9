"""Whether a model that follows one plan can become what another describes: it can only split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, List

if TYPE_CHECKING:
    from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["problems_of_refining"]


def problems_of_refining(plan: SharingPlan, before: SharingPlan) -> Iterator[str]:
    """Yield in words why a model that follows ``before`` can't become what ``plan`` describes."""
    if plan.languages != before.languages:
        yield (
            f"the plan is for languages {', '.join(plan.languages)}, the plan so far for "
            f"{', '.join(before.languages)}"
        )
        return
    joined = _units_joined(plan, before)
    if joined:
        yield (
            f"the model is differentiated already (plan {before.signature}), and plan "
            f"{plan.signature} would join languages that it has separated on '{joined[0]}' "
            f"({len(joined)} units); a later plan can only split further"
        )
    for first, own in before.divisions.items():
        if plan.divisions.get(first) != own:
            yield (
                f"the model's neurons are divided already (plan {before.signature}), and plan "
                f"{plan.signature} would divide those of '{first}' otherwise"
            )
    for unit, rank in before.low_rank.items():
        if plan.low_rank.get(unit) != rank:
            yield (
                f"the model has low-rank differences already (plan {before.signature}), those of "
                f"'{unit}' of rank {rank}; plan {plan.signature} has "
                + (f"rank {plan.low_rank[unit]}" if unit in plan.low_rank else "none")
                + " there"
            )


def _units_joined(plan: SharingPlan, before: SharingPlan) -> List[str]:
    """Return the units on which ``plan`` joins languages that ``before`` separates."""
    joined = []
    for unit, coarse in before.units.items():
        fine = plan.units.get(unit, (plan.languages,))
        wide = {language: place for place, group in enumerate(coarse) for language in group}
        if not all(len({wide.get(language) for language in group}) == 1 for group in fine):
            joined.append(unit)
    return joined
