"""Tables of TOML as dataclasses: unknown keys and values of other kinds are refused by name."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Tuple, Type, TypeVar, cast

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.kinds import check_texts

__all__ = ["from_table"]

T = TypeVar("T")


def from_table(kind: Type[T], table: Any, where: str, **given: Any) -> T:
    """Return a dataclass made from a table.

    A field's default tells its kind: text, number, yes or no, several texts (where one may stand
    alone), or a table of texts. A field without a default has to be there, and is text.

    Args:
        kind: the dataclass.
        table: what TOML has.
        where: the table's name, for errors.
        given: fields that don't come from the table.

    Raises:
        DataError: naming the key, what was expected and what was found.
    """
    if not isinstance(table, Mapping):
        raise DataError(f"{where}: expected a table, found {table!r}")
    fields = {
        field.name: field
        for field in dataclasses.fields(cast(Any, kind))
        if field.name not in given
    }
    values: Dict[str, Any] = dict(given)
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in fields:
            raise DataError(f"{where}: expected some of {', '.join(fields)}, found '{key}'")
        values[name] = _converted(fields[name], value, f"{where}.{key}")
    for name, field in fields.items():
        if name not in values and _default(field) is dataclasses.MISSING:
            raise DataError(f"{where}: has no '{name}'")
    return kind(**values)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _converted(field: dataclasses.Field[Any], value: Any, where: str) -> Any:
    default = _default(field)
    if isinstance(default, tuple):
        return _texts(value, where)
    if isinstance(default, dict):
        check_texts(value, where)
        return value
    expected = bool if isinstance(default, bool) else str
    if not isinstance(value, expected):
        raise DataError(f"{where}: expected {_KINDS[expected]}, found {value!r}")
    return value


_KINDS = {str: "text", bool: "true or false"}


def _texts(value: Any, where: str) -> Tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise DataError(f"{where}: expected text, or a list of texts, found {value!r}")
    return tuple(texts)
