"""Reading an experiment's TOML: what it extends, its profiles, what the caller sets."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.experiments.kinds import check_kinds
from fairseq_gist.files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Document", "merged", "read_document", "with_profiles", "with_settings"]

Document = Dict[str, Any]
"""Tables as TOML has them."""


def read_document(path: Path, before: Sequence[Path] = ()) -> Document:
    """Read a file on top of the one that its ``extends`` names, which is beside it.

    Tables are merged; of everything else the later wins. What ``folders`` names is relative to the
    file that says so, and comes back absolute.

    Raises:
        DataError: when a file isn't there, isn't TOML, extends itself, or has a value of another
            kind than its place asks for.
    """
    if path.resolve() in before:
        raise DataError(f"{path}: extends itself by way of {', '.join(map(str, before))}")
    try:
        own: Document = tomllib.loads(read_text(path))
    except (DataError, OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected an experiment as TOML, found none ({error})") from error
    check_kinds(own, str(path))
    for table in (own, *own.get("profiles", {}).values()):
        if "folders" in table:
            table["folders"] = _absolute(table["folders"], path.resolve().parent)
    base = own.pop("extends", None)
    if base is None:
        return own
    if not isinstance(base, str):
        raise DataError(f"{path}: extends: expected the name of a file, found {base!r}")
    return merged(read_document(path.parent / base, [*before, path.resolve()]), own)


def _absolute(folders: Mapping[str, str], here: Path) -> Dict[str, str]:
    """Return folders that are relative to ``here`` as values, whose braces are doubled."""
    return {
        name: re.sub("[{}]", r"\g<0>\g<0>", os.path.normpath(here / folder))
        for name, folder in folders.items()
    }


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> Document:
    """Return ``base`` with the tables of ``own`` merged into its own, and the rest replaced."""
    result = dict(base)
    for key, value in own.items():
        old = result.get(key)
        both = isinstance(value, dict) and isinstance(old, dict)
        result[key] = merged(old, value) if both and isinstance(old, dict) else value
    return result


def with_profiles(document: Document, names: Sequence[str]) -> Document:
    """Return the document with its profiles of these names applied, one after the other.

    Raises:
        OptionError: for a profile that it hasn't.
    """
    result = {key: value for key, value in document.items() if key != "profiles"}
    profiles = document.get("profiles", {})
    for name in names:
        if name not in profiles:
            known = ", ".join(profiles) or "none"
            raise OptionError(f"--profile: expected one of {known}, found '{name}'")
        result = merged(result, profiles[name])
    return result


def with_settings(document: Document, changes: Sequence[str]) -> Document:
    """Return the document with its settings and options changed as ``NAME=VALUE`` words say.

    A value becomes what the setting is: a number, text, or a list (with commas or spaces between).
    ``options.NAME`` is a part of command lines.

    Raises:
        OptionError: for a setting that there isn't, or a value of another kind.
    """
    settings, options = dict(document.get("settings", {})), dict(document.get("options", {}))
    required = document.get("required", {})
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise OptionError(f"--set: expected NAME=VALUE, found '{change}'")
        table, key = _place(name)
        if table == "options" and key in options:
            options[key] = text
        elif table == "settings" and key in settings:
            settings[key] = _like(settings[key], text, name)
        elif table == "settings" and key in required:
            settings[key] = text
        else:
            known = [*settings, *required, *(f"options.{option}" for option in options)]
            raise OptionError(f"--set: expected one of {', '.join(known)}, found '{name}'")
    return {**document, "settings": settings, "options": options}


def _place(name: str) -> Tuple[str, str]:
    table, dot, key = name.partition(".")
    return (table, key) if dot else ("settings", name)


def _like(old: Any, text: str, name: str) -> Any:
    """Return the value that ``text`` is, of the kind of ``old``."""
    if isinstance(old, list):
        parts: List[str] = [part for part in re.split(r"[,\s]+", text) if part]
        are_numbers = bool(old) and all(isinstance(item, int) for item in old)
        return [_like(old[0], part, name) for part in parts] if are_numbers else parts
    if isinstance(old, (int, float)):
        kind = "a whole number" if isinstance(old, int) else "a number"
        try:
            return type(old)(text)
        except ValueError:
            raise OptionError(f"{name}: expected {kind}, found '{text}'") from None
    return text
