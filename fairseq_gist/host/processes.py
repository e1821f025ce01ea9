"""Objects that the processes of one run send each other."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils

__all__ = ["receive_settings"]


def receive_settings() -> None:
    """Let processes receive a checkpoint's settings from the first one, which has read the file.

    fairseq packs what it sends as a file and unpacks it by ``torch.load``, which from torch 2.6 on
    takes nothing but tensors and plain values: no settings of omegaconf, and so no checkpoint.
    torch's own way of sending objects between the processes of a run takes them.
    """
    if hasattr(torch.serialization, "add_safe_globals"):
        distributed_utils._broadcast_object_slow = _send  # noqa: SLF001


def _send(obj: Any, src_rank: int, group: Any, dist_device: torch.device) -> Any:
    held = [obj]
    torch.distributed.broadcast_object_list(held, src_rank, group, dist_device)
    return held[0]
