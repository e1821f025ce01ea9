"""What the processes of one run share: objects that they send each other, and a model."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.models import distributed_fairseq_model
from torch.nn.parallel import DistributedDataParallel

__all__ = ["receive_settings", "wrap_on_any_device"]


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


def wrap_on_any_device() -> None:
    """Let torch's own wrapper (``--ddp-backend c10d``) train on CPUs, for which it takes no device.

    fairseq gives it the number of a GPU, whatever the model is on.
    """
    distributed_fairseq_model.DistributedDataParallel = _OnAnyDevice


class _OnAnyDevice(DistributedDataParallel):
    def __init__(self, module: torch.nn.Module, *args: Any, **options: Any) -> None:
        if all(parameter.device.type == "cpu" for parameter in module.parameters()):
            options = {**options, "device_ids": None, "output_device": None}
        super().__init__(module, *args, **options)
