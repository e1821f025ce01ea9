"""Adapters, language embeddings and plans: every language has its own unless a plan says otherwise.

Both are attached to a model beside what it has otherwise, and are spoken of as adapters here.
"""

from __future__ import annotations

from typing import Callable, Iterable, List, Mapping, MutableMapping, Optional

from torch import Tensor, nn

from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.language_embedding import is_language_embedding
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
    "is_attached",
    "split_adapters",
    "with_adapters",
]

_KINDS = (is_in_adapter, is_language_embedding)


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
        if is_attached(name) and name not in plan.units
    }
    return plan.replaced(units={**plan.units, **missing})


def split_adapters(model: nn.Module, routing: Routing) -> None:
    """Give every language its own copy of the model's adapters, if it has any.

    With fewer than two languages they stay plain modules, without a plan.
    """
    units = find_units(model)
    if len(routing.languages) < 2 or not any(map(is_attached, units)):
        return
    sizes = {name: unit.parameters for name, unit in units.items() if is_attached(name)}
    shared = SharingPlan.shared(routing.languages, select_units(units), policy="adapters")
    default = shared.replaced(sizes=sizes, is_default=True)
    apply_plan(model, with_adapters(model, default), routing)


def is_attached(path: str) -> bool:
    """Return whether a module or parameter is part of an adapter or a language embedding."""
    return any(is_of_kind(path) for is_of_kind in _KINDS)


def agree_on_adapters(model: nn.Module, state: MutableMapping[str, Tensor]) -> None:
    """Prepare ``state`` for a model with adapters, before both are made to follow one plan.

    A state without adapters gets the model's own, as they are, and so do language embeddings. Where
    it has some and they are grouped otherwise than the model's, which nobody asked to be the way
    they are, the model's are joined again and become what the state's plan says.

    Raises:
        CheckpointError: when the state has adapters that the model lacks, or of another size, or
            language embeddings in other places.
    """
    own = {key: tensor for key, tensor in model.state_dict().items() if is_attached(key)}
    theirs = [key for key in state if is_attached(key)]
    _check_adapters(own, state)
    _check_embeddings(own, theirs)
    for is_of_kind in _KINDS:
        missing = {key: tensor for key, tensor in own.items() if is_of_kind(key)}
        if missing and not any(map(is_of_kind, theirs)):
            state.update(missing)
            _add_to_plan(model, state, is_of_kind)
    if theirs:
        _yield_to_plan(model, plan_in_state(state))


def _check_adapters(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    theirs, ours = bottleneck_in_state(state), bottleneck_in_state(own)
    if theirs is None or theirs == ours:
        return
    if ours is None:
        raise CheckpointError(
            f"the checkpoint has adapters and the model none: add --adapter-dim {theirs}"
        )
    raise CheckpointError(
        f"--adapter-dim: the checkpoint's adapters have {theirs} channels in between, the "
        f"model's {ours}"
    )


def _check_embeddings(own: Iterable[str], theirs: Iterable[str]) -> None:
    ours, others = _stacks_with_embeddings(own), _stacks_with_embeddings(theirs)
    if others and ours != others:
        raise CheckpointError(
            f"the checkpoint has language embeddings in its {' and '.join(others)}, the model in "
            f"{' and '.join(ours) or 'none'}: give --language-embedding {','.join(others)}"
        )


def _stacks_with_embeddings(keys: Iterable[str]) -> List[str]:
    return sorted({key.partition(".")[0] for key in keys if is_language_embedding(key)})


def bottleneck_in_state(state: Mapping[str, Tensor]) -> Optional[int]:
    """Return the channels inside the adapters of a state dict, None where it has no adapters."""
    found = (tensor for key, tensor in state.items() if is_in_adapter(key) and ".down." in key)
    first = next(found, None)
    return None if first is None else first.size(0)


def _add_to_plan(
    model: nn.Module, state: MutableMapping[str, Tensor], is_of_kind: Callable[[str], bool]
) -> None:
    """Have the state's plan, if it has one, split adapters of a kind as the model does."""
    ours, theirs = plan_of(model), plan_in_state(state)
    if ours is not None and theirs is not None and ours.languages == theirs.languages:
        adapters = {name: groups for name, groups in ours.units.items() if is_of_kind(name)}
        state[PLAN_KEY] = encode_plan(theirs.replaced(units={**theirs.units, **adapters}))


def _yield_to_plan(model: nn.Module, theirs: Optional[SharingPlan]) -> None:
    """Join the model's adapters again if only the default, not ``theirs``, has them apart."""
    ours = plan_of(model)
    if theirs is None or ours is None or not ours.is_default:
        return
    adapters = [name for name in ours.units if is_attached(name)]
    if all(theirs.units.get(name) == ours.units[name] for name in adapters):
        return
    bench, units = Workbench(model, model.routing), find_units(model)
    alone = {name: ours.units[name] for name in adapters}
    apart = ours.replaced(units=alone, divisions={}, low_rank={})
    for operation in operations_between(None, apart, lambda unit: units[unit].paths):
        operation.undo(bench)
    bench.finish()
    delattr(model, PLAN_KEY)
