"""Warnings that are nobody's who trains: how fairseq asks hydra and torch for things."""

from __future__ import annotations

import warnings

__all__ = ["leave_out_hydra_warnings", "leave_out_script_warnings"]


def leave_out_hydra_warnings() -> None:
    """Leave out what a newer hydra says of how fairseq calls it: a page at each start."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"hydra\.")
    warnings.filterwarnings("ignore", "\n?'config' is validated against", UserWarning)


def leave_out_script_warnings() -> None:
    """Leave out what torch 2.14 says of how fairseq compiles its search: twice at each start."""
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
