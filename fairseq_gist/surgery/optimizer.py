"""Carrying an optimizer's state over a surgery: every copy starts with its parent's moments."""

from __future__ import annotations

import copy
from typing import Any, Dict, Mapping

import torch
from torch import Tensor
from torch.nn import Parameter

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.masters import Masters
from fairseq_gist.surgery.flat_optimizer import carry_over_flat
from fairseq_gist.surgery.lineage import Lineage

__all__ = ["carry_over", "copy_optimizer_state"]


def carry_over(
    lineage: Lineage,
    old: torch.optim.Optimizer,
    new: torch.optim.Optimizer,
    old_masters: Masters,
    new_masters: Masters,
) -> None:
    """Give ``new`` the state of ``old``, see :func:`copy_optimizer_state`.

    Where the model is in half precision the optimizers hold fp32 masters; each new one takes over
    the old one's value, too, which has more digits than the model's.

    Args:
        lineage: of the model's parameters.
        old: optimizer before the surgery.
        new: optimizer after it.
        old_masters: of the model, in ``old``.
        new_masters: likewise in ``new``.
    """
    if old_masters.flat is not None and new_masters.flat is not None:
        carry_over_flat(lineage, old, new, old_masters.flat, new_masters.flat)
        _take_settings(old, new)
        return
    if new_masters.each:
        lineage = _among_masters(lineage, old_masters.each, new_masters.each)
    copy_optimizer_state(old, new, lineage)


def _among_masters(
    lineage: Lineage, old: Mapping[Parameter, Tensor], new: Mapping[Parameter, Tensor]
) -> Lineage:
    result = Lineage()
    for parameter, master in new.items():
        if parameter in lineage.fresh:
            result.add_fresh(master)
            continue
        origin = old[lineage.origin(parameter)]
        with torch.no_grad():
            master.copy_(lineage.take(parameter, origin))
        result[master] = origin
        if parameter in lineage.parts:
            result.parts[master] = lineage.parts[parameter]
    return result


def copy_optimizer_state(
    old: torch.optim.Optimizer, new: torch.optim.Optimizer, lineage: Lineage
) -> None:
    """Give every parameter of ``new`` its state in ``old``, or that of the one it was copied from.

    Hyper-parameters of the parameter groups are taken over as well. Parameters that ``old`` has no
    state for (never updated so far) have none in ``new`` either, nor have those that are fresh.

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
            if lineage.origin(parameter) not in known and parameter not in lineage.fresh:
                raise SurgeryError(
                    f"a parameter of shape {tuple(parameter.shape)} is neither old nor a copy"
                )
    _take_settings(old, new)
    for group in new.param_groups:
        for parameter in group["params"]:
            origin = lineage.origin(parameter)
            if origin is parameter and origin in old.state:
                new.state[parameter] = old.state[origin]
            elif origin in old.state:
                new.state[parameter] = _of_copy(parameter, origin, old.state[origin], lineage)


def _take_settings(old: torch.optim.Optimizer, new: torch.optim.Optimizer) -> None:
    for old_group, new_group in zip(old.param_groups, new.param_groups):
        new_group.update({key: value for key, value in old_group.items() if key != "params"})


def _of_copy(
    parameter: Parameter, origin: Parameter, state: Mapping[str, Any], lineage: Lineage
) -> Dict[str, Any]:
    """Return the state of a copy; of a part of a parameter, the part of its moments."""
    copied = copy.deepcopy(dict(state))
    if parameter not in lineage.parts:
        return copied
    for name, value in copied.items():
        if torch.is_tensor(value) and value.shape == origin.shape:
            copied[name] = lineage.take(parameter, value)
        elif torch.is_tensor(value) and value.numel() > 1:
            raise SurgeryError(
                f"the optimizer keeps '{name}' of shape {tuple(value.shape)} for a parameter of "
                f"shape {tuple(origin.shape)}, and what of it belongs to a part of the parameter "
                "isn't known; use one that keeps a number for each, such as adam"
            )
    return copied
