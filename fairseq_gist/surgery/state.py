"""State dicts and plans: making a model and a checkpoint agree, and taking one language out."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, MutableMapping, Tuple

import torch
from torch import Tensor, nn

from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.routing import Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.divide import divide_state, join_state
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, plan_in_state, plan_of, store_plan
from fairseq_gist.surgery.units import FAST_PATH_COPIES, find_units

__all__ = ["export_state", "parameters_in_state", "reconcile", "unit_sizes_in_state"]

_COPY = re.compile(r"^(?P<path>.+)\.copies\.(?P<group>\d+)\.(?P<name>[^.]+)$")

_BUFFERS = (
    "version",
    "_float_tensor",
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "inv_freq",
)
"""Entries of fairseq's state dicts that are no parameters."""

_TIED_TO = {"decoder.output_projection": "decoder.embed_tokens"}
"""Modules that belong to another one's unit where their weights are tied."""


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
    """Give ``state`` the parts and copies of the finer plan."""
    divide_state(state, fine.divisions_beyond(coarse))
    units = find_units(model)
    for unit in fine.units:
        if fine.units[unit] == coarse.units.get(unit, (fine.languages,)):
            continue
        coarse_of = coarse.group_of(unit) if unit in coarse.units else (0,) * len(fine.languages)
        fine_of = fine.group_of(unit)
        parents = [coarse_of[fine_of.index(group)] for group in range(len(fine.units[unit]))]
        for path in units[unit].paths:
            _expand_module(state, path, parents)


def _expand_module(state: MutableMapping[str, Tensor], path: str, parents: List[int]) -> None:
    copies: Dict[Tuple[int, str], str] = {}
    for key in [key for key in state if key.startswith(f"{path}.")]:
        match = _COPY.match(key)
        if match and match.group("path") == path:
            copies[int(match.group("group")), match.group("name")] = key
        elif "." not in key[len(path) + 1 :]:
            copies[0, key[len(path) + 1 :]] = key
    if not copies:
        raise CheckpointError(
            f"the checkpoint has no parameters of '{path}', which the plan splits"
        )
    tensors = {where: state.pop(key) for where, key in copies.items()}
    for group, parent in enumerate(parents):
        for (origin, name), tensor in tensors.items():
            if origin == parent:
                state[f"{path}.copies.{group}.{name}"] = tensor


def export_state(state: Mapping[str, Tensor], language: str) -> Dict[str, Tensor]:
    """Return the state dict of the stock model that ``language`` has inside ``state``.

    Raises:
        CheckpointError: when the checkpoint's plan doesn't know the language, or it has adapters.
    """
    if any(map(is_in_adapter, state)):
        raise CheckpointError(
            "the checkpoint has adapters, which a stock model can't have; translate with it as it "
            "is (fairseq-generate --user-dir fairseq_gist --task gist_speech_to_text)"
        )
    plan = plan_in_state(state)
    if plan is None:
        return dict(state)
    if language not in plan.languages:
        raise CheckpointError(
            f"the checkpoint has no language '{language}'; it has {', '.join(plan.languages)}"
        )
    position = plan.languages.index(language)
    exported: Dict[str, Tensor] = {}
    for key, tensor in state.items():
        match = _COPY.match(key)
        if key == PLAN_KEY:
            continue
        if match is None:
            exported[key] = tensor
            continue
        path = match.group("path")
        unit = path if path in plan.units else _TIED_TO.get(path, path)
        if unit not in plan.units:
            raise CheckpointError(f"the checkpoint has copies of '{path}', which its plan lacks")
        if int(match.group("group")) == plan.group_of(unit)[position]:
            exported[f"{path}.{match.group('name')}"] = tensor
    join_state(exported, plan.divisions)
    return exported


def parameters_in_state(state: Mapping[str, Tensor]) -> int:
    """Return how many parameters the model of a state dict has, tied ones counted once.

    Counted like :func:`fairseq_gist.surgery.units.count_parameters`: without buffers, and without
    the second copies of encoder layers that fairseq 0.12.2 keeps. Averaging by fairseq's script
    copies tied tensors apart, so an output projection that equals its embedding is tied to it.
    """
    counted: Dict[Tuple[int, Tuple[int, ...]], int] = {}
    for key, tensor in state.items():
        name = key.rsplit(".", 1)[-1]
        if not tensor.is_floating_point() or name in _BUFFERS or name in FAST_PATH_COPIES:
            continue
        if not _equals_its_embedding(key, state):
            counted[tensor.data_ptr(), tuple(tensor.shape)] = tensor.numel()
    return sum(counted.values())


def _equals_its_embedding(key: str, state: Mapping[str, Tensor]) -> bool:
    embedding = state.get(key.replace("output_projection", "embed_tokens"))
    return (
        "output_projection" in key and embedding is not None and torch.equal(state[key], embedding)
    )


def unit_sizes_in_state(state: Mapping[str, Tensor], plan: SharingPlan) -> Dict[str, int]:
    """Return the parameters of one copy of every unit of ``plan``."""
    sizes: Dict[str, int] = dict.fromkeys(plan.units, 0)
    for key, tensor in state.items():
        match = _COPY.match(key)
        path, _, name = key.rpartition(".")
        if name in _BUFFERS:
            continue
        path = match.group("path") if match else path
        if path in sizes and (match is None or match.group("group") == "0"):
            sizes[path] += tensor.numel()
    return sizes
