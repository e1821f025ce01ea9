"""Calls with constant strings in a Lua script, found without running it."""

from __future__ import annotations

import re
from typing import Iterator, List, Optional, Tuple

__all__ = ["calls"]

_TOKEN = re.compile(
    r"""
    (?P<comment>--\[\[.*?\]\]|--[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_]\w*)
    |(?P<mark>[(),])
    |(?P<other>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(\d{1,3}|.)", re.DOTALL)
_MEANINGS = {"n": "\n", "t": "\t", "r": "\r", "a": "", "b": "", "f": "\f", "v": "\v"}


def calls(script: str) -> Iterator[Tuple[str, List[str]]]:
    """Go through the calls ``name("text", "text")`` whose arguments are all constant strings."""
    tokens = [
        (str(match.lastgroup), match.group())
        for match in _TOKEN.finditer(script)
        if match.lastgroup != "comment"
    ]
    for place, (kind, name) in enumerate(tokens):
        if kind == "name" and tokens[place + 1 : place + 2] == [("mark", "(")]:
            arguments = _constants(tokens, place + 2)
            if arguments is not None:
                yield name, arguments


def _constants(tokens: List[Tuple[str, str]], place: int) -> Optional[List[str]]:
    found: List[str] = []
    while place + 1 < len(tokens):
        (kind, text), after = tokens[place], tokens[place + 1]
        if kind != "string" or after not in (("mark", ","), ("mark", ")")):
            return None
        found.append(_unescaped(text[1:-1]))
        if after[1] == ")":
            return found
        place += 2
    return None


def _unescaped(text: str) -> str:
    def meaning(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code)) if code.isdigit() else _MEANINGS.get(code, code)

    return _ESCAPE.sub(meaning, text)
