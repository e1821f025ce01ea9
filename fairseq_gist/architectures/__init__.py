"""The kinds of models that can be differentiated, one a folder: found here, listed nowhere."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Dict, Iterable, List, Mapping, Optional

from fairseq_gist.architectures.base import Architecture
from fairseq_gist.discovery import found_in

__all__ = [
    "PLAIN",
    "Architecture",
    "all_architectures",
    "architecture_of",
    "of_arch",
    "of_settings",
    "recognise",
]

PLAIN = Architecture("plain", "modules that are called as fairseq calls them", model="")
"""Of what is recognised as none of them."""


def all_architectures() -> Dict[str, Architecture]:
    """Return every architecture by its name."""
    return found_in(__name__, "ARCHITECTURE", Architecture, _fits)


def _fits(one: Architecture, known: Mapping[str, Architecture]) -> None:
    """Raise TypeError where an architecture has an option that another one has."""
    for other in known.values():
        for name in {*_options_of(one)} & {*_options_of(other)}:
            raise TypeError(f"option '{name}' is one of architecture '{other.name}'")


def _options_of(one: Architecture) -> List[str]:
    return [] if one.options is None else [field.name for field in fields(one.options)]


def of_arch(arch: str) -> Optional[Architecture]:
    """Return the architecture that ``--arch`` names, with or without ``gist_``; None for others'.

    >>> of_arch("gist_s2t_transformer_m").name
    's2t_transformer'
    >>> of_arch("wav2vec2") is None
    True
    """
    fitting = [one for one in all_architectures().values() if one.has_arch(arch)]
    return max(fitting, key=lambda one: len(one.name), default=None)


def of_settings(settings: Any) -> Optional[Architecture]:
    """Return the architecture of a model with these settings; None for others'.

    Args:
        settings: of a checkpoint's model, with fairseq's ``arch`` or ``_name``.
    """
    return of_arch(str(getattr(settings, "arch", None) or getattr(settings, "_name", "")))


def architecture_of(model: Any) -> Architecture:
    """Return the architecture of a model: what it says itself, or what its modules' names tell."""
    own = getattr(model, "architecture", None)
    if isinstance(own, Architecture):
        return own
    return recognise(name for name, _ in model.named_modules())


def recognise(names: Iterable[str]) -> Architecture:
    """Return the architecture that has such units or parameters, for files that don't say it.

    Where only names are left that all have, those of the decoder, any does: :data:`PLAIN`.
    """
    known = list(names)
    counts = {name: sum(map(one.is_marked, known)) for name, one in all_architectures().items()}
    best = max(counts, key=lambda name: counts[name])
    return all_architectures()[best] if counts[best] else PLAIN
