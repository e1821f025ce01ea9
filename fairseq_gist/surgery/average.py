"""Averaging checkpoints of one sharing plan."""

from __future__ import annotations

from typing import Dict, Iterable, Mapping, Optional, Tuple

import torch
from torch import Tensor

from fairseq_gist.errors import CheckpointError
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, plan_in_state

__all__ = ["average_states"]


def average_states(states: Iterable[Tuple[str, Mapping[str, Tensor]]]) -> Dict[str, Tensor]:
    """Return the mean of model state dicts, summed in fp32 one after the other.

    Entries that aren't floating point (the plan, versions) are those of the first; tensors that
    are tied in the first are tied in the result.

    Args:
        states: (name, state dict), the name for errors.

    Raises:
        CheckpointError: when there is nothing to average, or the states are of different plans or
            have different entries.
    """
    sums: Dict[str, Tensor] = {}
    first: Optional[Mapping[str, Tensor]] = None
    first_name, count = "", 0
    for name, state in states:
        if first is None:
            first, first_name = state, name
            sums = {key: tensor.float().clone() for key, tensor in _floats(state)}
        else:
            _check_same(first_name, first, name, state)
            for key, tensor in _floats(state):
                sums[key] += tensor
        count += 1
    if first is None:
        raise CheckpointError("there are no checkpoints to average")
    averaged = {
        key: (sums[key] / count).to(tensor.dtype) if key in sums else tensor
        for key, tensor in first.items()
    }
    owners: Dict[Tuple[int, Tuple[int, ...]], str] = {}
    for key in sums:
        owner = owners.setdefault((first[key].data_ptr(), tuple(first[key].shape)), key)
        if torch.equal(averaged[owner], averaged[key]):
            averaged[key] = averaged[owner]
    return averaged


def _floats(state: Mapping[str, Tensor]) -> Iterable[Tuple[str, Tensor]]:
    return ((key, tensor) for key, tensor in state.items() if tensor.is_floating_point())


def _check_same(
    one_name: str, one: Mapping[str, Tensor], other_name: str, other: Mapping[str, Tensor]
) -> None:
    one_plan, other_plan = plan_in_state(one), plan_in_state(other)
    if one_plan != other_plan:
        signatures = [plan.signature if plan else "none" for plan in (one_plan, other_plan)]
        raise CheckpointError(
            f"{one_name} follows sharing plan {signatures[0]}, {other_name} {signatures[1]}: "
            "checkpoints from before and after a differentiation can't be averaged"
        )
    different = sorted(set(one) ^ set(other))
    if different:
        raise CheckpointError(
            f"{one_name} and {other_name} are of different architectures: only one of them has "
            f"'{different[0]}'"
        )
    for key, tensor in one.items():
        if key != PLAN_KEY and tensor.shape != other[key].shape:
            raise CheckpointError(
                f"'{key}' has shape {tuple(tensor.shape)} in {one_name} and "
                f"{tuple(other[key].shape)} in {other_name}"
            )
        if tensor.is_floating_point() != other[key].is_floating_point():
            raise CheckpointError(
                f"'{key}' is {tensor.dtype} in {one_name} and {other[key].dtype} in {other_name}"
            )
