"""Translations as text, JSON, SRT or WebVTT."""

from __future__ import annotations

import json
import textwrap
from typing import Callable, Dict, List

from fairseq_gist.translating.results import Recording, TranslatedSegment, Translation

__all__ = ["FORMATS", "FORMATS_IN_WORDS", "JSON", "TEXT", "as_json", "as_subtitles", "as_text"]

TEXT, JSON = "text", "json"
_LINE, _LINES = 42, 2
"""Characters of a line and lines of a subtitle, as is usual in television."""


def as_text(translation: Translation) -> str:
    """Return a line a segment."""
    return "".join(f"{segment.text}\n" for segment in translation.segments)


def as_json(recording: Recording) -> str:
    """Return all translations of a recording, with times in seconds."""
    return json.dumps(recording.plain(), ensure_ascii=False, indent=2) + "\n"


def as_subtitles(translation: Translation, kind: str) -> str:
    """Return subtitles.

    A model says what was said in a segment, and not when in it: where that is more than a subtitle
    holds, its time is shared out by the number of characters.

    Args:
        translation: of one language.
        kind: ``srt`` or ``vtt``.
    """
    point = "," if kind == "srt" else "."
    cues = [
        f"{number}\n{_clock(cue.start, point)} --> {_clock(cue.end, point)}\n{_text(cue, kind)}\n"
        for number, cue in enumerate(_cues(translation), start=1)
    ]
    return ("" if kind == "srt" else "WEBVTT\n\n") + "\n".join(cues)


def _srt(translation: Translation) -> str:
    return as_subtitles(translation, "srt")


def _vtt(translation: Translation) -> str:
    return as_subtitles(translation, "vtt")


FORMATS: Dict[str, Callable[[Translation], str]] = {TEXT: as_text, "srt": _srt, "vtt": _vtt}
"""Formats that have one language each, by name; JSON has all of them."""

FORMATS_IN_WORDS = (
    "'text', a line a segment; 'srt' or 'vtt', subtitles with times; 'json', all languages of a "
    "recording with times"
)


def _cues(translation: Translation) -> List[TranslatedSegment]:
    found: List[TranslatedSegment] = []
    for segment in translation.segments:
        lines = textwrap.wrap(segment.text, _LINE) or []
        parts = ["\n".join(lines[at : at + _LINES]) for at in range(0, len(lines), _LINES)]
        start, a_character = segment.start, _share(segment, parts)
        for part in parts:
            end = start + a_character * len(part)
            found.append(TranslatedSegment(start, end, part))
            start = end
    return found


def _share(segment: TranslatedSegment, parts: List[str]) -> float:
    return (segment.end - segment.start) / max(1, sum(map(len, parts)))


def _text(cue: TranslatedSegment, kind: str) -> str:
    if kind == "srt":
        return cue.text
    return cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """Return a time as subtitles have it: 01:02:03,004."""
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}{point}{rest:03}"
