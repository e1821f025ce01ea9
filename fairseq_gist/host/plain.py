"""Of what was in a checkpoint, what anything can read: containers, numbers, texts, tensors."""

from __future__ import annotations

from argparse import Namespace
from collections import OrderedDict
from enum import Enum
from typing import Any, Dict, List, Tuple

import numpy as np
import torch
from omegaconf import OmegaConf

from fairseq_gist.errors import CheckpointError
from fairseq_gist.host.unpickling import Record

__all__ = ["make_plain"]

_DEEPEST = 64
"""Levels of containers in one another; fairseq's settings and states have under ten."""

_KEPT = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    torch.Tensor,
    torch.Size,
    torch.device,
    torch.dtype,
)


def make_plain(content: Any) -> Tuple[Any, List[str]]:
    """Return the content without what only some library can read; containers change in place.

    Settings of omegaconf become dictionaries, numpy's numbers Python's, a choice its value, and
    what a :class:`Record` stands for a dictionary of its attributes.

    Returns:
        The content, and where something was that nothing plain stands for: None is in its place.

    Raises:
        CheckpointError: where it is nested too deeply.
    """
    walk = _Walk()
    return walk.plain(content, "", 0), walk.left_out


class _Walk:
    """One way through a content, each container of it once, however often it is in there."""

    def __init__(self) -> None:
        self.left_out: List[str] = []
        self._made: Dict[int, Tuple[Any, Any]] = {}  # with the original, which keeps its id taken

    def plain(self, value: Any, place: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise CheckpointError(f"'{place[:80]}' is nested more than {_DEEPEST} levels deep")
        if isinstance(value, _KEPT) and not isinstance(value, (Enum, np.generic)):
            return value
        if id(value) not in self._made:
            self._made[id(value)] = value, value
            self._made[id(value)] = value, self._converted(value, place, depth)
        return self._made[id(value)][1]

    def _converted(self, value: Any, place: str, depth: int) -> Any:
        if type(value) in (dict, OrderedDict):
            for key, item in list(value.items()):
                value[key] = self.plain(item, f"{place}.{key}" if place else str(key), depth + 1)
            return value
        if type(value) is list:
            value[:] = [self.plain(item, place, depth + 1) for item in value]
            return value
        if type(value) in (tuple, set):
            return type(value)(self.plain(item, place, depth + 1) for item in value)
        if type(value) is Namespace:
            for key, item in list(vars(value).items()):
                setattr(value, key, self.plain(item, f"{place}.{key}", depth + 1))
            return value
        inside = _inside(value)
        if inside is None:
            self.left_out.append(f"{place} ({type(value).__module__}.{type(value).__qualname__})")
            return None
        return self.plain(inside[0], place, depth + 1)


def _inside(value: Any) -> Any:
    """Return, in a list of one, what there is instead of an object; None where there is nothing."""
    if value is Record:
        return [None]
    if isinstance(value, Record):
        return [_recorded(value)]
    if isinstance(value, np.generic):
        return [value.item()]
    if isinstance(value, Enum):
        return [value.value]
    if OmegaConf.is_config(value):
        return [OmegaConf.to_container(value, resolve=True, enum_to_str=True)]
    if isinstance(value, frozenset):
        return [set(value)]
    if isinstance(value, dict):
        return [dict(value)]
    return None


def _recorded(record: Record) -> Any:
    """Return a setting's value, settings, a choice, or the attributes of anything else."""
    state = record.state
    if isinstance(state, tuple):
        state = next((part for part in state if isinstance(part, dict)), {})
    if not isinstance(state, dict):
        state = {}
    for name in ("_content", "_val"):
        if name in state:
            return state[name]
    if record.args and not state:
        return record.args[0]
    return dict(state)
