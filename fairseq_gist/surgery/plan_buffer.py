"""The plan inside the model: a buffer, so that every checkpoint knows what it is.

An int64 tensor of the plan's JSON bytes: averaging checkpoints sums integers and divides the sum,
which int64 survives exactly.
"""

from __future__ import annotations

import json
from typing import Mapping, Optional

import torch
from torch import Tensor, nn

from fairseq_gist.errors import PlanError, shortened
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["PLAN_KEY", "decode_plan", "encode_plan", "plan_in_state", "plan_of", "store_plan"]

PLAN_KEY = "gist_plan"
"""Name of the buffer on the model, and so of the entry in its state dict."""


def encode_plan(plan: SharingPlan) -> Tensor:
    """Return the plan's JSON as bytes, int64, `[bytes]`."""
    return torch.tensor(list(plan.to_json().encode("utf-8")), dtype=torch.long)


def decode_plan(buffer: Tensor) -> SharingPlan:
    """Return the plan in ``buffer``; raises PlanError when there is none."""
    if buffer.dim() != 1 or buffer.is_complex():
        raise PlanError(
            f"the checkpoint's sharing plan: expected bytes as integers in a row, found "
            f"{buffer.dtype} of shape {shortened(tuple(buffer.shape))}; it is damaged"
        )
    text = bytes(buffer.to("cpu", torch.long).clamp(0, 255).tolist()).decode("utf-8", "replace")
    source = "the checkpoint's sharing plan"
    try:
        return SharingPlan.from_json(text, source=source)
    except PlanError as error:
        if _is_json(text):
            raise
        raise PlanError(
            f"{error}: the file was changed, or another script has averaged checkpoints of "
            "different plans, which 'fairseq-gist average' refuses"
        ) from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def plan_of(model: nn.Module) -> Optional[SharingPlan]:
    """Return the plan that ``model`` follows, None when it was never given one."""
    buffer = getattr(model, PLAN_KEY, None)
    return None if buffer is None else decode_plan(buffer)


def plan_in_state(state: Mapping[str, Tensor]) -> Optional[SharingPlan]:
    """Return the plan in a model's state dict, None for a stock one."""
    return decode_plan(state[PLAN_KEY]) if PLAN_KEY in state else None


def store_plan(model: nn.Module, plan: SharingPlan) -> None:
    """Keep ``plan`` in ``model``, on the device of its parameters."""
    device = next(model.parameters()).device
    model.register_buffer(PLAN_KEY, encode_plan(plan).to(device))
