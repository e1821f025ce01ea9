"""What lies in a package, one thing a module or folder, and what installed packages bring to it.

Nothing is listed: a module that lies there is found, and so is what another distribution names by
an entry point of the group ``fairseq_gist.ROOM``, where the room is the package's last part.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import logging
import pkgutil
import re
import sys
from dataclasses import MISSING, fields, is_dataclass
from importlib import metadata
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Type

__all__ = ["brought_to", "found_in", "tolerated"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")
"""As what is chosen on a command line can be called."""

_TEXTS = ("summary", "title")
"""What help and tables say of a thing, where its kind has it."""

Fits = Callable[[Any, Mapping[str, Any]], None]
"""Raises where a thing can't be beside the others, by their names."""


def found_in(
    package: str, attribute: str, kind: Type[Any], fits: Optional[Fits] = None
) -> Dict[str, Any]:
    """Return the object called ``attribute`` of every module of a package that has one, by name.

    Every module is imported, so what it needs beside its own room is to be imported where it is
    used. Modules without the attribute are what the others share. What installed packages bring is
    among them, see :func:`brought_to`.

    Args:
        package: dotted name of the package.
        attribute: such as ``METRIC``; its ``name`` is what it is known by, in alphabetical order.
        kind: class that each is an instance or a subclass of.
        fits: raises where what an installed package brings can't be beside the others.

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
    found.update(brought_to(package, attribute, kind, found, fits))
    return dict(sorted(found.items()))


def brought_to(
    package: str,
    attribute: str,
    kind: Type[Any],
    known: Mapping[str, Any],
    fits: Optional[Fits] = None,
) -> Dict[str, Any]:
    """Return what installed packages bring to a room, by name.

    An entry point names the object, or a module that has it as ``attribute``. What can't be
    imported, isn't of the kind, or is called as something that is there is left out, and told of
    once, in a line that names the distribution: all others work without it.

    Args:
        package: dotted name of the room.
        attribute: see above.
        kind: class that each is an instance or a subclass of, as those that are known are.
        known: what lies in the room, by name.
        fits: raises where a thing can't be beside the others.
    """
    together = dict(known)
    for entry in _entries(f"fairseq_gist.{package.split('.')[-1]}", tuple(sys.path)):
        one, wrong = _loaded(entry, attribute)
        try:
            if not wrong:
                _check(one, kind, together)
                if fits is not None:
                    fits(one, together)
        except Exception as error:  # whatever another's code raises is no reason to end
            wrong = _first_line(error)
        if wrong:
            _tell(entry, wrong)
            continue
        together[one.name] = one
        _brought[id(one)] = entry
    return {name: one for name, one in together.items() if name not in known}


@contextlib.contextmanager
def tolerated(one: Any) -> Iterator[None]:
    """Tell in a line of what fails, where an installed package brought it; raise it otherwise."""
    try:
        yield
    except Exception as error:
        entry = _brought.get(id(one))
        if entry is None:
            raise
        _tell(entry, f"{type(error).__name__}: {_first_line(error)}")


class _Entry(NamedTuple):
    """An entry point with the distribution that has it."""

    distribution: str
    group: str
    name: str
    value: str


_brought: Dict[int, _Entry] = {}
"""Id of what was loaded, which is kept -> where it is from."""


@functools.lru_cache(maxsize=None)
def _entries(group: str, path: Tuple[str, ...]) -> List[_Entry]:
    """Return the entry points of a group, in the order of their distributions' names.

    Of a distribution that is there twice the first on the path counts, as for imports.
    """
    found: Dict[str, List[_Entry]] = {}
    for distribution in metadata.distributions(path=list(path)):
        try:
            own = [one for one in distribution.entry_points if one.group == group]
            name = str(distribution.metadata["Name"]) if own else ""
        except Exception:  # a damaged distribution, which may be of anybody
            continue
        if own:
            key = re.sub(r"[-_.]+", "-", name).lower()
            found.setdefault(key, [_Entry(name, group, one.name, one.value) for one in own])
    return sorted(entry for entries in found.values() for entry in entries)


@functools.lru_cache(maxsize=None)
def _loaded(entry: _Entry, attribute: str) -> Tuple[Any, str]:
    """Return what an entry point names, or what is wrong with it; tried once in a process."""
    try:
        one = metadata.EntryPoint(entry.name, entry.value, entry.group).load()
    except (Exception, SystemExit) as error:
        return None, f"{type(error).__name__}: {_first_line(error)}"
    if isinstance(one, ModuleType):
        if not hasattr(one, attribute):
            return None, f"module {one.__name__} has no {attribute}"
        one = getattr(one, attribute)
    return one, ""


def _check(one: Any, kind: Type[Any], known: Mapping[str, Any]) -> None:
    """Raise TypeError where a thing isn't what the others are."""
    is_class = any(isinstance(other, type) for other in known.values())
    fits = isinstance(one, type) and issubclass(one, kind) if is_class else isinstance(one, kind)
    if not fits:
        expected = f"a subclass of {kind.__name__}" if is_class else f"a {kind.__name__}"
        raise TypeError(f"expected {expected}, found {one!r}")
    if inspect.isabstract(one):
        raise TypeError(f"it has no {', '.join(sorted(one.__abstractmethods__))}")
    name = getattr(one, "name", None)
    if not isinstance(name, str) or not _NAME.match(name):
        raise TypeError(f"expected a name of letters, digits and hyphens, found {name!r}")
    if name in known:
        other = _brought.get(id(known[name]))
        owner = f"package {other.distribution}" if other else "fairseq-gist"
        raise TypeError(f"{owner} has another one called '{name}'")
    for text in _TEXTS:
        is_told = any(text in getattr(base, "__annotations__", {}) for base in kind.__mro__)
        if is_told and not isinstance(getattr(one, text, None), str):
            raise TypeError(f"'{name}' has no {text}")
    options = getattr(one, "Options", getattr(one, "options", None))
    if is_dataclass(options):
        for field in fields(options):
            if field.default is MISSING and field.default_factory is MISSING:
                raise TypeError(f"option '{field.name}' of '{name}' has no default")


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


@functools.lru_cache(maxsize=None)
def _tell(entry: _Entry, wrong: str) -> None:
    """Say what is wrong with an entry point, once in a process."""
    logger.warning(
        "package %s (%s: %s = %s): %s; it is left out: mend the package or uninstall it",
        *(entry.distribution, entry.group, entry.name, entry.value),
        wrong,
    )
