"""What fairseq loads of checkpoints, by the reader that everything here uses."""

from __future__ import annotations

import os
from typing import Any

import torch
from fairseq import checkpoint_utils

from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.host.torch_files import load_file

__all__ = ["read_checkpoints_as_we_do"]

TRUST_VARIABLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""Of the environment, as torch >= 2.6 has it: fairseq reads some files before any options."""


def read_checkpoints_as_we_do() -> None:
    """Have fairseq's module of checkpoints load files by :func:`load_file`; a second call is none.

    It calls ``torch.load`` with nothing but a file: that runs what a file names under torch < 2.6,
    and from then on refuses what older versions of fairseq have written.
    """
    if not isinstance(checkpoint_utils.torch, _Torch):
        checkpoint_utils.torch = _Torch()


class _Torch:
    """What the name ``torch`` means in that module: torch, but for how files are loaded."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def load(file: Any, *args: Any, **options: Any) -> Any:
        """Return what is in an open file, tensors on the CPU."""
        path = getattr(file, "name", None)
        if not isinstance(path, str):
            return torch.load(file, *args, **options)
        trusted = os.environ.get(TRUST_VARIABLE, "").lower() in ("1", "y", "yes", "true")
        with one_line_errors():
            return load_file(path, trusted, f"{TRUST_VARIABLE}=1 in the environment")
