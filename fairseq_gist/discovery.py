"""What lies in a package, one thing a module or folder: found there, listed nowhere."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, Dict

__all__ = ["found_in"]


def found_in(package: str, attribute: str) -> Dict[str, Any]:
    """Return the object called ``attribute`` of every module of a package that has one, by name.

    Every module is imported, so what it needs beside its own room is to be imported where it is
    used. Modules without the attribute are what the others share.

    Args:
        package: dotted name of the package.
        attribute: such as ``METRIC``; its ``name`` is what it is known by, in alphabetical order.

    Raises:
        RuntimeError: when two have one name: a mistake of who wrote the second.
    """
    found: Dict[str, Any] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        path = f"{package}.{module.name}"
        one = getattr(importlib.import_module(path), attribute, None)
        if one is None:
            continue
        if one.name in found:
            raise RuntimeError(f"{path}: {package} has another {attribute} called '{one.name}'")
        found[one.name] = one
    return dict(sorted(found.items()))
