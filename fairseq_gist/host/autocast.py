"""Functions of autograd's under autocast, as each torch asks for it."""

from __future__ import annotations

from typing import Any, Callable

import torch

__all__ = ["custom_bwd", "custom_fwd"]

if hasattr(torch.amp, "custom_fwd"):
    custom_fwd: Callable[..., Any] = torch.amp.custom_fwd(device_type="cuda")
    custom_bwd: Callable[..., Any] = torch.amp.custom_bwd(device_type="cuda")
elif torch.cuda.is_available():
    custom_fwd, custom_bwd = torch.cuda.amp.custom_fwd, torch.cuda.amp.custom_bwd
else:  # torch 1.12 would warn in every backward that there is no CUDA

    def custom_fwd(function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` as it is."""
        return function

    custom_bwd = custom_fwd
