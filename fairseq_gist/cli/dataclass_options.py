"""Options of a command from a dataclass: one field, one option, one place for help and default.

A field's metadata may have

- ``help``: a line; the default is added to it where it doesn't say one,
- ``choices``: what is allowed,
- ``metavar``: how the value is called,
- ``unset``: what the default means, in words, where its value doesn't tell,
- ``flag``: the option's name, where it isn't the field's.

Types: ``int``, ``float``, ``str``, ``bool`` (a switch), ``Optional`` of these, ``Tuple[str, ...]``
(names with commas between) and ``Mapping[str, int]`` (``XX=N,XX=N``).
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type, TypeVar, Union

__all__ = ["add_options", "flags_of", "options_from"]

_Options = TypeVar("_Options")


def add_options(parser: Any, options: Type[Any], prefix: str = "") -> None:
    """Declare an option for every field of a dataclass.

    Args:
        parser: or a group of one.
        options: the dataclass.
        prefix: begins the options' names: ``chrf-`` makes ``--chrf-word-order`` of ``word_order``.
    """
    types = typing.get_type_hints(options)
    for field, flag in _flags(options, prefix):
        kind = types[field.name]
        settings: Dict[str, Any] = {"dest": flag, "default": None, "help": _help(field)}
        if kind is bool:
            settings["action"] = "store_true"
        else:
            settings["type"], metavar = _reader(kind)
            if "choices" in field.metadata:
                settings["choices"] = list(field.metadata["choices"])
            else:
                settings["metavar"] = field.metadata.get("metavar", metavar)
        parser.add_argument(f"--{flag}", **settings)


def options_from(args: argparse.Namespace, options: Type[_Options], prefix: str = "") -> _Options:
    """Return the dataclass with what was given, and its own defaults for the rest."""
    given = {
        field.name: getattr(args, flag)
        for field, flag in _flags(options, prefix)
        if getattr(args, flag) is not None
    }
    return options(**given)


def flags_of(args: argparse.Namespace, options: Type[Any], prefix: str = "") -> List[str]:
    """Return the options that were given, as they are written."""
    flags = [flag for _, flag in _flags(options, prefix)]
    return [f"--{flag}" for flag in flags if getattr(args, flag) is not None]


def _flags(options: Type[Any], prefix: str) -> Iterator[Tuple[Any, str]]:
    """Give every field with its option's name, which is its place in the namespace too."""
    for field in dataclasses.fields(options):
        yield field, prefix + str(field.metadata.get("flag", field.name.replace("_", "-")))


def _help(field: Any) -> str:
    text = str(field.metadata.get("help", ""))
    default = field.metadata.get("unset", field.default)
    is_unsaid = default is None or default is False or default in (dataclasses.MISSING, ())
    if is_unsaid or "(default: " in text:
        return text.replace("%", "%%")
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    separator = " " if text else ""
    shown = f"(default: {shown})" if text else f"default: {shown}"
    return f"{text}{separator}{shown}".replace("%", "%%")


def _reader(kind: Any) -> Tuple[Callable[[str], Any], str]:
    """Return what reads a value of that type, and what to call the value."""
    if typing.get_origin(kind) is Union:
        kind = next(one for one in typing.get_args(kind) if one is not type(None))
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _names, "NAME,NAME"
    if origin is not None:
        return _numbers, "NAME=N,NAME=N"
    return kind, {int: "N", float: "X", Path: "PATH"}.get(kind, "NAME")


def _names(text: str) -> Tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _numbers(text: str) -> Dict[str, int]:
    numbers: Dict[str, int] = {}
    for part in _names(text):
        name, _, number = (one.strip() for one in part.partition("="))
        if not (number.isascii() and number.isdigit()) or not name or name in numbers:
            raise argparse.ArgumentTypeError(
                f"expected names with their numbers, each once, such as de=1200,ru=300, found "
                f"'{text}'"
            )
        numbers[name] = int(number)
    return numbers
