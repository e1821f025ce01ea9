"""Rewriting a model into the one a sharing plan describes, all or nothing."""

from __future__ import annotations

import copy
import functools
from typing import Dict, List, Mapping, Optional, Tuple

from torch import nn
from torch.nn import Parameter

from fairseq_gist.errors import PlanError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import leaf_of
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.wrapping import unwrap
from fairseq_gist.sharing.plan import Partition, SharingPlan
from fairseq_gist.surgery.divide import check_divisions, divide, units_after
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.plan_buffer import plan_of, store_plan
from fairseq_gist.surgery.units import (
    Unit,
    find_units,
    module_at,
    no_units,
    replace_module,
    select_units,
)

__all__ = ["apply_plan", "check_plan", "use_module_calls"]


def apply_plan(model: nn.Module, plan: SharingPlan, routing: Routing) -> Lineage:
    """Give every group of the plan its own copy of its units; the function stays the same.

    Hidden units are divided first, where the plan says so: then the function is the same to
    rounding. The first group keeps the parameters that were there, so whatever refers to them goes
    on; the others get exact copies.

    Args:
        model: to be changed in place; may be differentiated already.
        plan: must refine what the model is now.
        routing: of this model.

    Returns:
        For every new parameter where it was copied from.

    Raises:
        PlanError: when the plan doesn't fit; the model is then unchanged.
    """
    before = plan_of(model)
    check_plan(plan, model, routing.languages)
    divisions = plan.divisions_beyond(before)
    lineage = divide(model, divisions)
    for first, division in divisions.items():
        use_module_calls(model, f"{first}.own")
        use_module_calls(model, f"{division.second}.own")
    units = find_units(model)
    replacements: Dict[str, GroupedModule] = {}
    split = [
        unit
        for name, unit in units.items()
        if name in plan.units and _partition_now(model, unit, routing) != plan.units[name]
    ]
    for unit in split:
        for path in unit.paths:
            unwrap(module_at(model, path))
        _split(model, unit, plan, routing, replacements, lineage)
    for path, module in replacements.items():
        replace_module(model, path, module)
        use_module_calls(model, path)
        routing.note(path)
    if not plan.is_shared or plan.divisions or before is not None:
        store_plan(model, plan)
    return lineage


def check_plan(plan: SharingPlan, model: nn.Module, languages: Tuple[str, ...]) -> None:
    """Raise PlanError unless ``plan`` can be applied to ``model``."""
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
    done = {} if before is None else before.divisions
    check_divisions(model, plan.divisions, done)
    divisions = plan.divisions_beyond(before)
    units = units_after(find_units(model), divisions, model)
    unknown = [name for name in plan.units if name not in units]
    if unknown:
        tied = [unit.name for unit in units.values() if unknown[0] in unit.paths]
        refused = no_units(model).get(unknown[0])
        if refused is not None:
            raise PlanError(f"the plan names '{unknown[0]}', which can't be split: {refused}")
        raise PlanError(
            f"the plan names '{unknown[0]}', which is "
            + (f"tied to unit '{tied[0]}': name that one" if tied else "no unit of the model")
            + f"; the model's units go from '{next(iter(units))}' to '{list(units)[-1]}'. Was the "
            "plan made for another architecture?"
        )
    _check_complete(plan, units)
    if before is not None:
        plan.check_refines(before)


def _check_complete(plan: SharingPlan, units: Mapping[str, Unit]) -> None:
    """Raise PlanError for a plan that names a part of the decoder: it was made for another one.

    One that is about the encoder alone names nothing of the decoder, which stays as it is.
    """
    expected = select_units(units)
    missing = [name for name in expected if name not in plan.units]
    if missing and (len(missing) < len(expected) or not plan.units):
        raise PlanError(
            f"the plan doesn't say how '{missing[0]}' is shared ({len(missing)} units are "
            "missing); give it one group of all languages to keep it shared"
        )


def use_module_calls(model: nn.Module, path: str) -> None:
    """Switch off the shortcuts of the layer at ``path`` that read weights past the modules."""
    parts = path.split(".")
    for depth in range(1, len(parts)):
        parent = module_at(model, ".".join(parts[:depth]))
        if hasattr(parent, "skip_embed_dim_check"):
            parent.skip_embed_dim_check = True
        if hasattr(parent, "can_use_fastpath"):
            parent.can_use_fastpath = False
            load = nn.Module._load_from_state_dict  # noqa: SLF001
            parent._load_from_state_dict = functools.partial(load, parent)  # noqa: SLF001


def _partition_now(model: nn.Module, unit: Unit, routing: Routing) -> Partition:
    module = module_at(model, unit.paths[0])
    if not isinstance(module, GroupedModule):
        return (tuple(sorted(routing.languages)),)
    groups: List[List[str]] = [[] for _ in module.copies]
    for language, group in zip(routing.languages, module.group_of):
        groups[group].append(language)
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def _split(
    model: nn.Module,
    unit: Unit,
    plan: SharingPlan,
    routing: Routing,
    replacements: Dict[str, GroupedModule],
    lineage: Lineage,
) -> None:
    """Build the grouped modules of one unit without touching the model."""
    group_of = plan.group_of(unit.name)
    first_language = [group_of.index(group) for group in range(len(plan.units[unit.name]))]
    tied: Dict[Tuple[int, int], Parameter] = {}
    built: Dict[int, GroupedModule] = {}
    for path in unit.paths:
        old = module_at(model, path)
        if id(old) in built:  # one module under two names stays one
            replacements[path] = built[id(old)]
            continue
        copies: List[nn.Module] = []
        taken = set()
        for group, language in enumerate(first_language):
            parent = old.copies[old.group_of[language]] if isinstance(old, GroupedModule) else old
            child = copy.deepcopy(parent) if id(parent) in taken else parent
            taken.add(id(parent))
            copies.append(child)
            _tie(parent, child, group, tied, lineage)
        leaf = leaf_of(copies[0])
        kind = GroupedModule if leaf is None or leaf.grouped is None else leaf.grouped
        built[id(old)] = replacements[path] = kind(
            copies,
            group_of,
            routing,
            unit.name,
            path,
            Unit.batch_dim(path, model),
            Unit.reads_source(path),
            Unit.is_common(path),
        )


def _tie(
    parent: nn.Module,
    child: nn.Module,
    group: int,
    tied: Dict[Tuple[int, int], Parameter],
    lineage: Lineage,
) -> None:
    """Note where the child's parameters come from; re-tie those that its unit's modules share."""
    for name, original in parent.named_parameters(recurse=False):
        key = (group, id(original))
        if key in tied:
            setattr(child, name, tied[key])
            continue
        parameter: Optional[Parameter] = getattr(child, name)
        tied[key] = parameter
        if parameter is not original:
            lineage.add(parameter, original)
