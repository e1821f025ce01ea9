"""The kinds of modules that languages can share or own, one a file of this package.

A file says how modules of one class are recorded, split and divided, and has an object ``LEAF``
that does so. Kinds from elsewhere are made known by :func:`register_leaf`.
"""

from __future__ import annotations

import functools
from typing import Dict, List, Optional

from torch import nn

from fairseq_gist.discovery import found_in
from fairseq_gist.nn.leaves.base import Leaf

__all__ = ["Leaf", "leaf_names", "leaf_of", "register_leaf"]


@functools.lru_cache(maxsize=None)
def _by_class() -> Dict[type, Leaf]:
    # only when the first one is asked for: what the files need may need this package
    return {leaf.module: leaf for leaf in found_in(__name__, "LEAF", Leaf).values()}


def leaf_of(module: nn.Module) -> Optional[Leaf]:
    """Return the kind of ``module``, None where it is none; a subclass is not of its parent's."""
    return _by_class().get(type(module))


def leaf_names() -> List[str]:
    """Return the names of all kinds."""
    return [leaf.name for leaf in _by_class().values()]


def register_leaf(leaf: Leaf) -> None:
    """Make a kind known that lies outside this package; one of the same class makes way."""
    _by_class()[leaf.module] = leaf
