"""State dicts and plans: making a model and a checkpoint agree, and taking one language out."""

from __future__ import annotations

from typing import Dict, Mapping, MutableMapping, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.architectures import Architecture, recognise
from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.routing import Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.adapters import is_attached
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.operations import operations_between
from fairseq_gist.surgery.operations.split import COPY
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, plan_in_state, plan_of, store_plan
from fairseq_gist.surgery.units import find_units

__all__ = ["export_state", "parameters_in_state", "reconcile", "unit_sizes_in_state"]


def reconcile(model: nn.Module, state: MutableMapping[str, Tensor], routing: Routing) -> None:
    """Make ``model`` and ``state`` follow one plan before the state is loaded.

    A checkpoint that is split further than the model rewrites the model; a model that is split
    further (``--sharing-plan`` on top of a shared checkpoint) has every copy start from the
    checkpoint's. Of two plans that share alike, the checkpoint's stays, with its provenance.

    Raises:
        CheckpointError: when neither plan refines the other, or they are for other languages.
        PlanError: when the checkpoint's plan doesn't fit the model.
    """
    theirs, ours = plan_in_state(state), plan_of(model)
    if theirs is not None and ours is not None and theirs.languages != ours.languages:
        raise CheckpointError(
            f"the checkpoint's sharing plan is for languages {', '.join(theirs.languages)}, the "
            f"model's for {', '.join(ours.languages)}"
        )
    if theirs is not None and (ours is None or theirs.refines(ours)):
        apply_plan(model, theirs, routing)
        if plan_of(model) is None:  # it splits nothing
            store_plan(model, theirs)
    elif ours is not None and (theirs is None or ours.refines(theirs)):
        _expand(model, state, theirs or SharingPlan.shared(ours.languages, ours.units), ours)
    elif theirs is not None or ours is not None:
        raise CheckpointError(
            f"the checkpoint follows sharing plan {theirs and theirs.signature}, the model "
            f"{ours and ours.signature}, and neither only splits the other further; load the "
            "checkpoint without --sharing-plan, or start from a shared one"
        )
    _agree_on_buffer(model, state)


def _agree_on_buffer(model: nn.Module, state: MutableMapping[str, Tensor]) -> None:
    """Give ``state`` the model's plan, byte for byte: loading compares the buffers' sizes."""
    buffer = getattr(model, PLAN_KEY, None)
    if buffer is not None:
        state[PLAN_KEY] = buffer.clone()
    else:
        state.pop(PLAN_KEY, None)


def _expand(
    model: nn.Module, state: MutableMapping[str, Tensor], coarse: SharingPlan, fine: SharingPlan
) -> None:
    """Give ``state`` the parts and copies of the finer plan, which ``model`` follows."""
    units = find_units(model)

    def paths_of(unit: str) -> Tuple[str, ...]:
        return units[unit].paths if unit in units else (unit,)  # what is in parts is none any more

    for operation in operations_between(coarse, fine, paths_of):
        operation.expand(state, model)


def export_state(state: Mapping[str, Tensor], language: str) -> Dict[str, Tensor]:
    """Return the state dict of the stock model that ``language`` has inside ``state``.

    Raises:
        CheckpointError: when the checkpoint's plan doesn't know the language, or it has adapters.
    """
    attached = next((key for key in state if is_attached(key)), None)
    if attached is not None:
        what = "adapters" if is_in_adapter(attached) else "language embeddings"
        raise CheckpointError(
            f"the checkpoint has {what}, which a stock model can't have; translate with it as it "
            'is (fairseq-generate --user-dir "$(fairseq-gist user-dir)" --task gist_speech_to_text)'
        )
    plan = plan_in_state(state)
    if plan is None:
        return dict(state)
    if language not in plan.languages:
        raise CheckpointError(
            f"the checkpoint has no language '{language}'; it has {', '.join(plan.languages)}"
        )
    exported = dict(state)
    del exported[PLAN_KEY]
    for operation in reversed(operations_between(None, plan, lambda unit: _paths_in(state, unit))):
        operation.extract(exported, language)
    left = next(filter(None, map(COPY.match, exported)), None)
    if left is not None:
        raise CheckpointError(
            f"the checkpoint has copies of '{left.group('path')}', which its plan lacks"
        )
    return _in_order_of(state, exported)


def _in_order_of(state: Mapping[str, Tensor], exported: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Return the entries in the order of the modules they come from, as a stock model has them."""
    place: Dict[str, int] = {}
    for index, key in enumerate(state):
        parts = key.split(".")
        for depth in range(len(parts), 0, -1):
            place.setdefault(".".join(parts[:depth]), index)

    def of(key: str) -> int:
        return place[key] if key in place else place[key.rpartition(".")[0]]

    return {key: exported[key] for key in sorted(exported, key=of)}


def _paths_in(state: Mapping[str, Tensor], unit: str) -> Tuple[str, ...]:
    """Return the paths of a unit's modules: its own, and those that are tied to it."""
    ties = recognise(state).ties
    return (unit, *(path for path, owner in ties.items() if owner == unit))


def parameters_in_state(state: Mapping[str, Tensor]) -> int:
    """Return how many parameters the model of a state dict has, tied ones counted once.

    Counted like :func:`fairseq_gist.surgery.units.count_parameters`: without buffers, and without
    what the architecture keeps unused. Averaging by fairseq's script copies tied tensors apart, so
    an output projection that equals its embedding is tied to it.
    """
    architecture = recognise(state)
    counted: Dict[Tuple[int, Tuple[int, ...]], int] = {}
    for key, tensor in state.items():
        if not tensor.is_floating_point() or not architecture.is_parameter(key):
            continue
        if not _equals_its_owner(key, state, architecture):
            counted[tensor.data_ptr(), tuple(tensor.shape)] = tensor.numel()
    return sum(counted.values())


def _equals_its_owner(key: str, state: Mapping[str, Tensor], architecture: Architecture) -> bool:
    """Return whether a parameter of a module that may be tied is that of the other one."""
    for module, owner in architecture.ties.items():
        if key.startswith(f"{module}."):
            owned = state.get(owner + key[len(module) :])
            return owned is not None and torch.equal(state[key], owned)
    return False


def unit_sizes_in_state(state: Mapping[str, Tensor], plan: SharingPlan) -> Dict[str, int]:
    """Return the parameters of one copy of every unit of ``plan``."""
    sizes: Dict[str, int] = dict.fromkeys(plan.units, 0)
    architecture = recognise(state)
    for key, tensor in state.items():
        match = COPY.match(key)
        if not architecture.is_parameter(key):
            continue
        path = key.rpartition(".")[0]
        path = match.group("path") if match else path
        if path in sizes and (match is None or match.group("group") == "0"):
            sizes[path] += tensor.numel()
    return sizes
