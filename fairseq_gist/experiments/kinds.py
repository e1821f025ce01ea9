"""Which kind of value stands where in an experiment's TOML, checked before anything is merged."""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping

from fairseq_gist.errors import DataError, shortened

__all__ = ["check_kinds", "check_texts"]

Check = Callable[[Any, str], None]
"""Of a value and the place that it has; raises DataError."""


def check_kinds(document: Any, where: str) -> None:
    """Raise unless every value of a document is of the kind that its place asks for.

    What a step or another single table holds is left to those that read it, and so are keys that
    nobody knows.

    Args:
        document: tables as TOML has them.
        where: the file, for errors.

    Raises:
        DataError: naming the file, the place, what was expected and what was found.
    """
    try:
        _document(document, "")
    except DataError as error:
        raise DataError(f"{where}: {error}") from None


def check_texts(value: Any, where: str) -> None:
    """Raise DataError unless ``value`` is a table, and all that it holds is text."""
    _table_of(_text)(value, where)


def _wrong(where: str, expected: str, value: Any) -> DataError:
    return DataError(f"{where}: expected {expected}, found {shortened(repr(value))}")


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)


def _number(value: Any, where: str) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise _wrong(where, "a number", value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _plain(value: Any, where: str) -> None:
    if not _is_plain(value):
        raise _wrong(where, "text or a number", value)


def _environment(value: Any, where: str) -> None:
    _table_of(_plain)(value, where)
    for name, content in value.items():
        if not name or "=" in name or "\0" in f"{name}{content}":
            raise _wrong(where, "names without '=' and values without NUL", {name: content})


def _setting(value: Any, where: str) -> None:
    if not all(map(_is_plain, value if isinstance(value, list) else [value])):
        raise _wrong(where, "text, a number or a list of these", value)


def _texts(value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(where, "a list of texts", value)


def _any_table(value: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise _wrong(where, "a table", value)


def _any_list(value: Any, where: str) -> None:
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)


def _tables(value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(where, f"tables, each under [[{where}]]", value)


def _anything(value: Any, where: str) -> None:
    del value, where


def _table_of(check: Check) -> Check:
    """Return a check for a table in which every value has to pass another."""
    return _table({}, check)


def _table(keys: Mapping[str, Check], others: Check = _anything) -> Check:
    """Return a check for a table in which values have to pass others, by key."""

    def check(value: Any, where: str) -> None:
        _any_table(value, where)
        for key, item in value.items():
            keys.get(key, others)(item, f"{where}.{key}" if where else key)

    return check


_system = _table(
    {
        "steps": _texts,
        "goals": _texts,
        "like": _text,
        "each": _table_of(_text),
        "options": _table_of(_text),
        "tune": _table_of(_text),
    },
    others=_setting,
)

_whole = {
    "title": _text,
    "out": _text,
    "always": _texts,
    "only": _texts,
    "settings": _table({"seeded": _texts}, others=_setting),
    "required": _table_of(_text),
    "at_least": _table_of(_number),
    "options": _table_of(_text),
    "environment": _environment,
    "folders": _table_of(_text),
    "steps": _table_of(_any_table),
    "defaults": _system,
    "kinds": _table_of(_system),
    "systems": _table_of(_system),
    "results": _any_table,
    "tuning": _any_table,
    "comparisons": _table({"baseline": _text, "pairs": _any_list}),
    "costs": _any_table,
    "twins": _tables,
    "remarks": _tables,
    "checks": _tables,
    "tables": _tables,
    "closing": _tables,
}

_document = _table({**_whole, "profiles": _table_of(_table(_whole))})
