"""How the parts of a Whisper model are called here, and how in transformers."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from torch import Tensor

__all__ = ["from_transformers", "state_for_transformers", "to_transformers"]

_PREFIXES: Tuple[Tuple[str, str], ...] = (
    ("encoder.embed_positions.sinusoids", "model.encoder.embed_positions.weight"),
    ("decoder.output_projection.", "proj_out."),
    ("encoder.", "model.encoder."),
    ("decoder.", "model.decoder."),
)
"""Beginnings of names, ours and theirs; the first that fits counts."""


def to_transformers(name: str) -> str:
    """Return transformers' name of a module, parameter or buffer.

    >>> to_transformers("decoder.output_projection.weight")
    'proj_out.weight'
    """
    for ours, theirs in _PREFIXES:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name


def from_transformers(name: str) -> str:
    """Return our name of what transformers calls ``name``.

    >>> from_transformers("model.encoder.layers.5.fc2")
    'encoder.layers.5.fc2'
    """
    for ours, theirs in _PREFIXES:
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    return name


def state_for_transformers(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Return the state dict of a shared model with the names of transformers."""
    return {to_transformers(name): tensor for name, tensor in state.items()}
