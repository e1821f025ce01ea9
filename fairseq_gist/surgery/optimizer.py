"""Carrying an optimizer's state over a surgery: every copy starts with its parent's moments."""

from __future__ import annotations

import copy
from typing import Mapping

import torch
from torch.nn import Parameter

from fairseq_gist.errors import SurgeryError

__all__ = ["copy_optimizer_state"]


def copy_optimizer_state(
    old: torch.optim.Optimizer, new: torch.optim.Optimizer, lineage: Mapping[Parameter, Parameter]
) -> None:
    """Give every parameter of ``new`` its state in ``old``, or that of the one it was copied from.

    Hyper-parameters of the parameter groups are taken over as well. Parameters that ``old`` has no
    state for (never updated so far) have none in ``new`` either.

    Raises:
        SurgeryError: when ``new`` has a parameter of unknown origin, or other parameter groups.
    """
    known = {parameter for group in old.param_groups for parameter in group["params"]}
    if len(old.param_groups) != len(new.param_groups):
        raise SurgeryError(
            f"the optimizer had {len(old.param_groups)} parameter groups and has "
            f"{len(new.param_groups)} after the split; its state can't be carried over"
        )
    for group in new.param_groups:
        for parameter in group["params"]:
            if lineage.get(parameter, parameter) not in known:
                raise SurgeryError(
                    f"a parameter of shape {tuple(parameter.shape)} is neither old nor a copy"
                )
    for old_group, new_group in zip(old.param_groups, new.param_groups):
        new_group.update({key: value for key, value in old_group.items() if key != "params"})
        for parameter in new_group["params"]:
            origin = lineage.get(parameter, parameter)
            if origin in old.state:
                state = old.state[origin]
                new.state[parameter] = state if origin is parameter else copy.deepcopy(state)
