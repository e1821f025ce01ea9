"""Shortcuts of fairseq's layers that read the weight of a module without calling it."""

from __future__ import annotations

import functools

from torch import nn

__all__ = ["switch_off"]


def switch_off(model: nn.Module, path: str) -> None:
    """Have all that lies above the module at ``path`` call it."""
    parent = model
    for name in path.split(".")[:-1]:
        parent = getattr(parent, name)
        if hasattr(parent, "skip_embed_dim_check"):
            parent.skip_embed_dim_check = True
        if hasattr(parent, "can_use_fastpath"):
            parent.can_use_fastpath = False
            load = nn.Module._load_from_state_dict  # noqa: SLF001
            parent._load_from_state_dict = functools.partial(load, parent)  # noqa: SLF001
