"""Lists of segments in YAML: flat mappings whose values are text, whatever else they look like.

A speaker ``007`` is no seven and a speaker ``no`` no falsehood, whether any value of the file is
quoted or none. Lists are as fairseq reads them, with YAML's base loader, but event by event: what
nests without end, or multiplies by aliases, is refused where it begins.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Union

import yaml

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import read_lines, read_text

__all__ = ["read_segment_list", "yaml_text"]

_FLOW_LINE = re.compile(r"^- \{([^{}\[\]'\"#\\\x00-\x1f\x7f-\x9f]*)\}\s*$")
_NO_TEXT = tuple("&*!|>%@`?-")
"""What a plain value may not begin with, or not always."""

_PLAIN = re.compile(r"^[A-Za-z0-9_]([A-Za-z0-9_. /+-]*[A-Za-z0-9_./+-])?$")
_DEEPEST = 20

Segments = List[Dict[str, str]]


def read_segment_list(path: Path) -> Segments:
    """Return the entries of a list of segments, key -> text.

    Values that are lists or mappings themselves are left out.

    Raises:
        DataError: with the line, where the file is no YAML, or no list of mappings.
    """
    lines = [line for line in read_lines(path) if line.strip()]
    if lines and lines[0].strip() == "---":
        del lines[0]
    entries = []
    for line in lines:  # fast where each is on a line of its own, as MuST-C has them
        entry = _flow_entry(line)
        if entry is None:
            return _read_any(path)
        entries.append(entry)
    return entries


def yaml_text(text: str) -> str:
    """Write a value so that it is read as the same text."""
    if _PLAIN.match(text):
        return text
    return str(yaml.safe_dump(text, default_style='"', width=float("inf"))).rstrip("\n")


def _flow_entry(line: str) -> Optional[Dict[str, str]]:
    match = _FLOW_LINE.match(line)
    if not match:
        return None
    entry = {}
    for pair in match.group(1).split(", "):
        key, colon, value = pair.partition(": ")
        value = value.strip()
        if not colon or value.startswith(_NO_TEXT) or ": " in value or "," in value:
            return None
        entry[key.strip()] = value
    return entry


def _read_any(path: Path) -> Segments:
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    text = read_text(path)
    try:
        return _Reader(path, yaml.parse(text, Loader=loader)).segments()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise DataError(f"{path}{place}: not YAML: {problem}") from error


class _Reader:
    """Goes through the events of one file; never calls itself."""

    def __init__(self, path: Path, events: Iterator[Any]) -> None:
        self._path, self._events = path, events
        self._named: Dict[str, Union[str, Dict[str, str]]] = {}

    def segments(self) -> Segments:
        next(self._events)  # the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return []
        event = next(self._events)
        if isinstance(event, yaml.ScalarEvent) and not event.value:
            return []
        if not isinstance(event, yaml.SequenceStartEvent):
            raise self._error(event, f"expected a list of segments, found {_kind(event)}")
        segments: Segments = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            segments.append(self._segment(event, len(segments) + 1))
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "expected one list of segments, found a second document")
        return segments

    def _segment(self, event: Any, number: int) -> Dict[str, str]:
        if isinstance(event, yaml.AliasEvent):
            known = self._named.get(event.anchor)
            if isinstance(known, dict):
                return known
        if not isinstance(event, yaml.MappingStartEvent):
            expected = "expected duration, offset and wav"
            raise self._error(event, f"segment {number}: {expected}, found {_kind(event)}")
        anchor, entry = event.anchor, {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._text(event)
            value = self._text(next(self._events))
            if key is not None and value is not None:
                entry[key] = value
        if anchor:
            self._named[anchor] = entry
        return entry

    def _text(self, event: Any) -> Optional[str]:
        """Return a key's or value's text; None, once it is over, where it is a list or mapping."""
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                self._named[event.anchor] = event.value
            return str(event.value)
        if isinstance(event, yaml.AliasEvent):
            known = self._named.get(event.anchor)
            return known if isinstance(known, str) else None
        depth = 1
        while depth:
            event = next(self._events)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEEPEST:
                raise self._error(event, f"nested more than {_DEEPEST} times, which no segment is")
        return None

    def _error(self, event: Any, message: str) -> DataError:
        return DataError(f"{self._path}, line {event.start_mark.line + 1}: {message}")


def _kind(event: Any) -> str:
    if isinstance(event, yaml.SequenceStartEvent):
        return "a list"
    if isinstance(event, yaml.MappingStartEvent):
        return "a mapping"
    if isinstance(event, yaml.AliasEvent):
        return f"an alias of what is no segment (*{event.anchor})"
    return f"'{shortened(event.value)}'"
