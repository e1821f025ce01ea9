"""What a recording's translation is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping

from fairseq_gist.languages.codes import script_of

__all__ = ["Recording", "TranslatedSegment", "Translation"]

_WITHOUT_SPACES = frozenset(("Hani", "Hans", "Hant", "Jpan", "Thai", "Laoo", "Khmr", "Mymr"))
"""Scripts that don't part sentences by spaces."""


@dataclass(frozen=True)
class TranslatedSegment:
    """What was said from one second of a recording to another, in another language."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Translation:
    """A recording in one language; as a string, its text."""

    language: str
    segments: List[TranslatedSegment]
    """In the order of the recording; none where nothing was heard."""

    @property
    def text(self) -> str:
        """All of it in one line."""
        space = "" if script_of(self.language) in _WITHOUT_SPACES else " "
        return space.join(one.text for one in self.segments if one.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Recording:
    """A recording with its translations, by language."""

    path: Path
    seconds: float
    translations: Mapping[str, Translation]

    def plain(self) -> Dict[str, Any]:
        """Return it as JSON has it; times in seconds."""
        return {
            "audio": str(self.path),
            "seconds": round(self.seconds, 3),
            "translations": {
                language: {
                    "text": one.text,
                    "segments": [
                        {"start": round(s.start, 3), "end": round(s.end, 3), "text": s.text}
                        for s in one.segments
                    ],
                }
                for language, one in self.translations.items()
            },
        }
