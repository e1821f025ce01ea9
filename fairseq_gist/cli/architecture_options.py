"""Options of architectures on the command line, made of what each says of its own."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Dict, List

from fairseq_gist.architectures import Architecture, all_architectures
from fairseq_gist.cli.dataclass_options import add_options, flags_of
from fairseq_gist.errors import OptionError

__all__ = ["add_architecture_options", "architecture_flags", "given_options", "options_of"]


def add_architecture_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare the options of every architecture that has some.

    Args:
        parser: of the command.
        default: what is taken where they aren't given, in words.
    """
    for architecture in all_architectures().values():
        if architecture.options is not None:
            group = parser.add_argument_group(f"{architecture.summary} (default: {default})")
            add_options(group, architecture.options)


def architecture_flags(args: argparse.Namespace) -> List[str]:
    """Return the flags of architectures that were given, of all that have some."""
    own = [one.options for one in all_architectures().values() if one.options is not None]
    return [flag for options in own for flag in flags_of(args, options)]


def given_options(args: argparse.Namespace) -> Dict[str, Any]:
    """Return the options of architectures that were given, of all that have some, as fields."""
    own = [one.options for one in all_architectures().values() if one.options is not None]
    values = {name: getattr(args, _dest(name)) for options in own for name in _names(options)}
    return {name: value for name, value in values.items() if value is not None}


def options_of(
    architecture: Architecture, args: argparse.Namespace, settings: Any, what: str
) -> Any:
    """Return an architecture's options: what was given, or else what a checkpoint says.

    Args:
        architecture: of the model.
        args: of the command.
        settings: of a checkpoint's model; None where there is none.
        what: the model, for errors.

    Returns:
        Its dataclass; None where it has no options.

    Raises:
        OptionError: for an option of another architecture.
    """
    for other in all_architectures().values():
        if other is not architecture and other.options is not None:
            flags = flags_of(args, other.options)
            if flags:
                raise OptionError(f"{flags[0]}: {what} is no {other.model_name}; leave it out")
    if architecture.options is None:
        return None
    own = architecture.options_from(settings)
    given = {f: getattr(args, _dest(f)) for f in _names(architecture.options)}
    return type(own)(**{f: getattr(own, f) if v is None else v for f, v in given.items()})


def _names(options: Any) -> Any:
    return [one.name for one in fields(options)]


def _dest(name: str) -> str:
    return name.replace("_", "-")
