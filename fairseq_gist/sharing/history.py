"""The plans a model followed one after another, kept in the provenance of the last."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from fairseq_gist.errors import PlanError
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Step", "history_of", "history_to_keep"]


class Step(NamedTuple):
    """A plan, and how many updates the run had made when the model became what it describes."""

    update: int
    plan: SharingPlan


def history_to_keep(before: Optional[SharingPlan]) -> Dict[str, Any]:
    """Return what the provenance of the next plan says of the earlier ones.

    Args:
        before: what the model follows so far.
    """
    steps = [] if before is None else history_of(before)
    if not steps:
        return {}
    return {"history": [{"update": s.update, "units": dict(s.plan.units)} for s in steps]}


def history_of(plan: SharingPlan) -> List[Step]:
    """Return the plans of the differentiations that led to ``plan``, itself the last.

    Empty for a plan that no training run made.

    Raises:
        PlanError: when its provenance has a history that isn't one.
    """
    update = plan.provenance.get("update")
    if not isinstance(update, int):
        return []
    earlier = plan.provenance.get("history", [])
    try:
        steps = [Step(int(e["update"]), SharingPlan(plan.languages, e["units"])) for e in earlier]
    except (KeyError, TypeError, ValueError, PlanError) as error:
        raise PlanError(f"plan {plan.signature}: its 'history' can't be read: {error}") from None
    return [*steps, Step(update, plan)]
