"""Chance by a hash of names: a seed means the same on every machine and in every order."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Iterable, List, Sequence

__all__ = ["drawn", "shuffled"]


def drawn(key: Sequence[Any]) -> str:
    """Return the lot of what ``key`` names, JSON-like: what comes first in order comes first."""
    return hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()


def shuffled(items: Iterable[Any], key: Sequence[Any]) -> List[Any]:
    """Return the items in an order that depends on them and ``key`` only."""
    return sorted(items, key=lambda item: drawn([*key, item]))
