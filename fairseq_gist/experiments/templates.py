"""Filling names into text: settings into paths, options into command lines."""

from __future__ import annotations

import itertools
import re
import shlex
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError

__all__ = ["Scope", "combinations"]

_FIELD = re.compile(r"\{\{|\}\}|\{(\*?)([a-z_][a-z0-9_]*)\}|[{}]")
_WHOLE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")

Trail = Tuple[str, ...]
"""The names that are being filled in, each for the sake of the one before."""


class Scope:
    """Values by name, and parts of command lines by name.

    In text ``{name}`` stands for a value, of a list for its items with commas in between, and
    ``{*name}`` makes one text for each item. In a command line a word ``{name}`` may stand for a
    part of it. Values and parts may have names in them; they are looked up where they are used,
    so that a system that has a value of its own changes all that is made from it.

    Args:
        values: text, numbers and lists of these.
        parts: words of command lines with spaces in between, quoted as in a shell.
        where: what is filled in, for error messages.
    """

    def __init__(
        self, values: Mapping[str, Any], parts: Mapping[str, str], where: str = "the experiment"
    ) -> None:
        self._values = dict(values)
        self._parts = dict(parts)
        self._where = where

    def child(
        self,
        where: str,
        values: Mapping[str, Any],
        parts: Optional[Mapping[str, str]] = None,
    ) -> Scope:
        """Return a scope in which these go before."""
        return Scope({**self._values, **values}, {**self._parts, **(parts or {})}, where)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def items(self, name: str) -> List[str]:
        """Return a value as texts: as many as it has items, or names with a star ask for."""
        return self._items(name, ())

    def text(self, template: str) -> str:
        """Return the template filled in.

        Raises:
            DataError: when a name isn't known, needs itself, or makes several texts.
        """
        found = self.texts(template)
        if len(found) != 1:
            raise DataError(f"{self._where}: expected '{template}' to be one, found {found}")
        return found[0]

    def texts(self, template: str) -> List[str]:
        """Return the template filled in, once for every combination of the items of its lists."""
        return self._texts(template, ())

    def words(self, command: str) -> List[str]:
        """Return the words of a command line.

        Raises:
            DataError: when a name isn't known or needs itself, a quotation has no end, or there
                are no words.
        """
        words = self._words(command, ())
        if not words or not words[0]:
            raise DataError(f"{self._where}: expected a command, found '{command}', an empty one")
        return words

    def _words(self, command: str, trail: Trail) -> List[str]:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise DataError(f"{self._where}: '{command}' is no command line: {error}") from None
        found: List[str] = []
        for word in words:
            part = _WHOLE.fullmatch(word)
            if part and part[1] in self._parts:
                name = part[1]
                found += self._words(self._parts[name], self._follow(name, trail))
            else:
                found += self._texts(word, trail)
        return found

    def _texts(self, template: str, trail: Trail) -> List[str]:
        if "\0" in template:
            raise DataError(f"{self._where}: no file or word can have the NUL of {template!r}")
        fields = list(_FIELD.finditer(template))
        for field in fields:
            if field[0] in ("{", "}"):
                raise DataError(
                    f"{self._where}: expected {{name}} or {{*name}} in '{template}', found a "
                    f"'{field[0]}' alone; write it twice where it is meant"
                )
        starred = list(dict.fromkeys(field[2] for field in fields if field[1]))
        lists = [self._items(name, trail) for name in starred]
        return [
            self._filled(template, dict(zip(starred, chosen)), trail)
            for chosen in itertools.product(*lists)
        ]

    def _filled(self, template: str, chosen: Dict[str, str], trail: Trail) -> str:
        def one(field: re.Match[str]) -> str:
            if field[0] in ("{{", "}}"):
                return field[0][0]
            return chosen[field[2]] if field[1] else ",".join(self._items(field[2], trail))

        return _FIELD.sub(one, template)

    def _items(self, name: str, trail: Trail) -> List[str]:
        if name not in self._values:
            hint = (
                "; it is a part of command lines, a word by itself" if name in self._parts else ""
            )
            raise DataError(f"{self._where}: nothing is called '{name}'{hint}")
        value = self._values[name]
        trail = self._follow(name, trail)
        items: Sequence[Any] = value if isinstance(value, list) else [value]
        return [text for item in items for text in self._texts(str(item), trail)]

    def _follow(self, name: str, trail: Trail) -> Trail:
        if name in trail:
            raise DataError(f"{self._where}: '{name}' needs itself: {' -> '.join((*trail, name))}")
        return (*trail, name)


def combinations(scope: Scope, each: Mapping[str, str]) -> List[Dict[str, str]]:
    """Return every combination of the items of these lists, by the name they have in it."""
    found: List[Dict[str, str]] = [{}]
    for name, items in each.items():
        found = [{**before, name: item} for before in found for item in scope.items(items)]
    return found
