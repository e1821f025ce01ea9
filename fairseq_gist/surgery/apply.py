"""Rewriting a model into the one a sharing plan describes, all or nothing."""

from __future__ import annotations

from typing import List, Mapping, Tuple

from torch import nn

from fairseq_gist.errors import PlanError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.operations import Operation, operations_between
from fairseq_gist.surgery.plan_buffer import plan_of, store_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import (
    Unit,
    find_units,
    module_if_there,
    no_units,
    select_units,
)
from fairseq_gist.surgery.workbench import Workbench

__all__ = ["apply_plan", "check_plan", "operations_on"]


def apply_plan(model: nn.Module, plan: SharingPlan, routing: Routing) -> Lineage:
    """Make of ``model`` what ``plan`` describes; the function stays the same, at most to rounding.

    Everything is checked and built before anything in the model changes.

    Args:
        model: to be changed in place; may be differentiated already.
        plan: must refine what the model is now.
        routing: of this model.

    Returns:
        For every new parameter where it was copied from.

    Raises:
        PlanError: when the plan doesn't fit. The model is then unchanged, as it is after any
            other error: memory may not suffice.
    """
    operations = check_plan(plan, model, routing.languages)
    bench = Workbench(model, routing)
    for operation in operations:
        operation.build(bench)
    is_first = plan_of(model) is None
    bench.finish()
    if not plan.is_shared or plan.divisions or plan.low_rank or not is_first:
        store_plan(model, plan)
    return bench.lineage


def operations_on(model: nn.Module, plan: SharingPlan) -> List[Operation]:
    """Return what makes of ``model``, as it is now, what ``plan`` describes."""
    units = find_units(model)
    return operations_between(
        plan_of(model), plan, lambda unit: units[unit].paths if unit in units else (unit,)
    )


def check_plan(plan: SharingPlan, model: nn.Module, languages: Tuple[str, ...]) -> List[Operation]:
    """Check that ``plan`` can be applied to ``model``.

    Returns:
        What is to be done for it.

    Raises:
        PlanError: when it can't.
    """
    before = plan_of(model)
    if plan.languages != tuple(languages):
        unknown = sorted(set(plan.languages) - set(languages))
        missing = sorted(set(languages) - set(plan.languages))
        if unknown:
            found = f"it doesn't know '{unknown[0]}'"
        elif missing:
            found = f"the plan lacks '{missing[0]}'"
        else:
            found = "a model keeps its languages in alphabetical order, each once"
        raise PlanError(
            f"the plan is for languages {', '.join(plan.languages)}, the model has "
            f"{', '.join(languages)}: {found}"
        )
    operations = operations_on(model, plan)
    units = find_units(model)
    _check_names(plan, model, units)
    for operation in operations:
        operation.check(model)
        units = operation.units_after(units, model)
    unknown = [name for name in plan.units if name not in units]
    if unknown:
        refused = no_units(model).get(unknown[0])
        if refused is not None:
            raise PlanError(f"the plan names '{unknown[0]}', which can't be split: {refused}")
        raise PlanError(_no_unit(unknown[0], units))
    _check_units_left_out(plan, model, units)
    if before is not None:
        plan.check_refines(before)
    return operations


def _check_names(plan: SharingPlan, model: nn.Module, units: Mapping[str, Unit]) -> None:
    """Raise PlanError for a plan that changes what isn't there, before it is asked how."""
    divided = [(f"{name}.", f"{one.second}.") for name, one in plan.divisions.items()]
    parts = tuple(start for both in divided for start in both)  # they come to be
    for name in (*plan.divisions, *plan.low_rank):
        if module_if_there(model, name) is None and not name.startswith(parts):
            raise PlanError(_no_unit(name, units))


def _no_unit(name: str, units: Mapping[str, Unit]) -> str:
    tied = [unit.name for unit in units.values() if name in unit.paths]
    found = f"tied to unit '{tied[0]}': name that one" if tied else "no unit of the model"
    return (
        f"the plan names '{name}', which is {found}; the model's units go from "
        f"'{next(iter(units))}' to '{list(units)[-1]}'. Was the plan made for another architecture?"
    )


def _check_units_left_out(plan: SharingPlan, model: nn.Module, units: Mapping[str, Unit]) -> None:
    """Raise PlanError for a plan that leaves out units its own model can't have had.

    A unit that a plan doesn't name stays as it is; but a plan for three layers mustn't pass for
    one that keeps three of six shared.
    """
    if not plan.units:
        raise PlanError(
            "the plan names no unit; one that keeps all shared names some, each with one group of "
            "all languages"
        )
    missing = [name for name in select_units(units) if name not in plan.units]
    if not missing or plan.shared_parameters is None:
        return
    shared = shape_of(model).shared_parameters
    if plan.shared_parameters + sum(units[name].parameters for name in missing) <= shared:
        raise PlanError(
            f"the plan doesn't say how '{missing[0]}' is shared ({len(missing)} units are "
            f"missing), and was made for a model of {plan.shared_parameters:,} parameters when all "
            f"is shared; this one has {shared:,}, so that those can't have been among them. Was "
            "the plan made for another architecture?"
        )
