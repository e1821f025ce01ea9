"""How the parts of a SeamlessM4T model are called here, and how in transformers."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

from torch import Tensor

__all__ = ["from_transformers", "state_for_transformers", "to_transformers"]

_PREFIXES: Tuple[Tuple[str, str], ...] = (
    ("encoder.layers.", "speech_encoder.encoder.layers."),
    ("encoder.layer_norm.", "speech_encoder.encoder.layer_norm."),
    ("encoder.embed_positions.", "speech_encoder.encoder.embed_positions."),
    # "adapter" are the parts that are added for single languages
    ("encoder.length_adaptor.", "speech_encoder.adapter."),
    ("encoder.", "speech_encoder."),
    ("decoder.output_projection.", "lm_head."),
    ("decoder.", "text_decoder."),
)
"""Beginnings of names, ours and theirs; the first that fits counts."""

_EMBEDDING, _SHARED = "text_decoder.embed_tokens.weight", "shared.weight"


def to_transformers(name: str) -> str:
    """Return transformers' name of a module, parameter or buffer.

    >>> to_transformers("encoder.layers.11.ffn2.output_dense.weight")
    'speech_encoder.encoder.layers.11.ffn2.output_dense.weight'
    """
    for ours, theirs in _PREFIXES:
        if name.startswith(ours):
            return theirs + name[len(ours) :]
    return name


def from_transformers(name: str) -> str:
    """Return our name of what transformers calls ``name``.

    >>> from_transformers("speech_encoder.adapter.layers.0.ffn.output_dense")
    'encoder.length_adaptor.layers.0.ffn.output_dense'
    """
    for ours, theirs in _PREFIXES:
        if name.startswith(theirs):
            return ours + name[len(theirs) :]
    return name


def state_for_transformers(state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """Return the state dict of a shared model with the names of transformers."""
    renamed = {to_transformers(name): tensor for name, tensor in state.items()}
    renamed[_SHARED] = renamed[_EMBEDDING]
    return renamed
