"""Adapters and plans: every language has its own adapters unless a plan says otherwise."""

from __future__ import annotations

from typing import Mapping, MutableMapping, Optional

from torch import Tensor, nn

from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.routing import Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.operations import operations_between
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, encode_plan, plan_in_state, plan_of
from fairseq_gist.surgery.units import find_units, select_units
from fairseq_gist.surgery.workbench import Workbench

__all__ = [
    "agree_on_adapters",
    "bottleneck_in_state",
    "split_adapters",
    "with_adapters",
]


def with_adapters(model: nn.Module, plan: SharingPlan) -> SharingPlan:
    """Return ``plan`` with the model's adapters added where it doesn't name them.

    They stay as they are in a model that follows a plan; in any other, every language gets its
    own.
    """
    now = plan_of(model)
    if now is not None and now.languages != plan.languages:
        return plan
    apart = [[language] for language in plan.languages]
    missing = {
        name: apart if now is None or name not in now.units else now.units[name]
        for name in find_units(model)
        if is_in_adapter(name) and name not in plan.units
    }
    return plan.replaced(units={**plan.units, **missing})


def split_adapters(model: nn.Module, routing: Routing) -> None:
    """Give every language its own copy of the model's adapters, if it has any.

    With fewer than two languages they stay plain modules, without a plan.
    """
    units = find_units(model)
    if len(routing.languages) < 2 or not any(map(is_in_adapter, units)):
        return
    sizes = {name: unit.parameters for name, unit in units.items() if is_in_adapter(name)}
    shared = SharingPlan.shared(routing.languages, select_units(units), policy="adapters")
    default = shared.replaced(sizes=sizes, is_default=True)
    apply_plan(model, with_adapters(model, default), routing)


def agree_on_adapters(model: nn.Module, state: MutableMapping[str, Tensor]) -> None:
    """Prepare ``state`` for a model with adapters, before both are made to follow one plan.

    A state without adapters gets the model's own, as they are. Where it has some and they are
    grouped otherwise than the model's, which nobody asked to be the way they are, the model's are
    joined again and become what the state's plan says.

    Raises:
        CheckpointError: when the state has adapters that the model lacks, or of another size.
    """
    own = {key: tensor for key, tensor in model.state_dict().items() if is_in_adapter(key)}
    theirs, ours = bottleneck_in_state(state), bottleneck_in_state(own)
    if theirs is None:
        state.update(own)
        _add_to_plan(model, state)
    elif ours is None:
        raise CheckpointError(
            f"the checkpoint has adapters and the model none: add --adapter-dim {theirs}"
        )
    elif theirs != ours:
        raise CheckpointError(
            f"--adapter-dim: the checkpoint's adapters have {theirs} channels in between, the "
            f"model's {ours}"
        )
    else:
        _yield_to_plan(model, plan_in_state(state))


def bottleneck_in_state(state: Mapping[str, Tensor]) -> Optional[int]:
    """Return the channels inside the adapters of a state dict, None where it has no adapters."""
    found = (tensor for key, tensor in state.items() if is_in_adapter(key) and ".down." in key)
    first = next(found, None)
    return None if first is None else first.size(0)


def _add_to_plan(model: nn.Module, state: MutableMapping[str, Tensor]) -> None:
    """Have the state's plan, if it has one, split adapters as the model does."""
    ours, theirs = plan_of(model), plan_in_state(state)
    if ours is not None and theirs is not None and ours.languages == theirs.languages:
        adapters = {name: groups for name, groups in ours.units.items() if is_in_adapter(name)}
        state[PLAN_KEY] = encode_plan(theirs.replaced(units={**theirs.units, **adapters}))


def _yield_to_plan(model: nn.Module, theirs: Optional[SharingPlan]) -> None:
    """Join the model's adapters again if only the default, not ``theirs``, has them apart."""
    ours = plan_of(model)
    if theirs is None or ours is None or not ours.is_default:
        return
    adapters = [name for name in ours.units if is_in_adapter(name)]
    if all(theirs.units.get(name) == ours.units[name] for name in adapters):
        return
    bench, units = Workbench(model, model.routing), find_units(model)
    alone = {name: ours.units[name] for name in adapters}
    apart = ours.replaced(units=alone, divisions={}, low_rank={})
    for operation in operations_between(None, apart, lambda unit: units[unit].paths):
        operation.undo(bench)
    bench.finish()
    delattr(model, PLAN_KEY)
