"""Carrying the state of an optimizer that holds all parameters in one flat tensor.

fairseq trains so with ``--fp16`` alone: the optimizer sees a single fp32 tensor in which the
masters of all parameters follow each other, and has moments of the same length.
"""

from __future__ import annotations

import copy
from typing import Any, Dict

import torch
from torch import Tensor
from torch.nn import Parameter

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.masters import FlatMasters
from fairseq_gist.surgery.lineage import Lineage

__all__ = ["carry_over_flat"]


def carry_over_flat(
    lineage: Lineage,
    old: torch.optim.Optimizer,
    new: torch.optim.Optimizer,
    old_masters: FlatMasters,
    new_masters: FlatMasters,
) -> None:
    """Give ``new`` the state of ``old``, and its masters their values; the model stays.

    Hyper-parameters are taken over by :func:`~fairseq_gist.surgery.optimizer.carry_over`.

    What is fresh begins with what the model's parameter says, and moments of zero.

    Raises:
        SurgeryError: when a parameter is of unknown origin, or the optimizer keeps what isn't a
            number for each parameter.
    """
    move = _Move(lineage, old_masters.places(), new_masters.places())
    length = new_masters.whole.shape
    found: Dict[str, Any] = {}
    with torch.no_grad():
        for name, value in old.state.get(old_masters.whole, {}).items():
            if torch.is_tensor(value) and value.shape == old_masters.whole.shape:
                found[name] = move(value, value.new_zeros(length))
            elif torch.is_tensor(value) and value.numel() > 1:
                raise SurgeryError(
                    f"the optimizer keeps '{name}' of shape {tuple(value.shape)} for "
                    f"{old_masters.whole.numel():,} numbers, and what of it belongs to which isn't "
                    "known; use one that keeps a number for each, such as adam, or add "
                    "--fp16-no-flatten-grads"
                )
            else:
                found[name] = copy.deepcopy(value)
        move(old_masters.whole.detach(), new_masters.whole.detach())
    if found:
        new.state[new_masters.whole] = found


class _Move:
    """Takes numbers of a flat tensor to where the parameters are after the surgery."""

    def __init__(
        self, lineage: Lineage, old: Dict[Parameter, slice], new: Dict[Parameter, slice]
    ) -> None:
        self.lineage, self.old = lineage, old
        self.new = {one: place for one, place in new.items() if one not in lineage.fresh}
        for parameter in self.new:
            if lineage.origin(parameter) not in old:
                raise SurgeryError(
                    f"a parameter of shape {tuple(parameter.shape)} is neither old nor a copy"
                )

    def __call__(self, tensor: Tensor, into: Tensor) -> Tensor:
        for parameter, place in self.new.items():
            origin = self.lineage.origin(parameter)
            own = tensor[self.old[origin]].view(origin.shape)
            into[place].copy_(self.lineage.take(parameter, own).reshape(-1))
        return into
