"""What packages hold: phrases in several languages, and recordings of them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Mapping, Tuple

__all__ = [
    "ASTERISK",
    "FILLETS",
    "TUXPAINT",
    "Dropped",
    "Heard",
    "Phrase",
    "Recording",
    "Utterance",
    "plain_words",
]

FILLETS, TUXPAINT, ASTERISK = "fillets", "tuxpaint", "asterisk"

_APART = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Phrase:
    """Something to say, in every language that it is written in."""

    collection: str
    """Which packages it is from: ``fillets``, ``tuxpaint`` or ``asterisk``."""
    name: str
    """How the collection calls it, such as ``city/vit-m-hlava``."""
    group: str
    """What stays in one split with it: the level of a dialogue, otherwise the English words."""
    texts: Mapping[str, str]
    """By language, English among them where there is a translation."""
    role: str = ""
    """Who says it in a dialogue."""

    @property
    def key(self) -> Tuple[str, str]:
        """What no other phrase has."""
        return self.collection, self.name


@dataclass(frozen=True)
class Recording:
    """A phrase as somebody said it."""

    collection: str
    name: str
    """Of the phrase."""
    language: str
    speaker: str
    """As far as it is known: a person, a role, or all of a language."""
    file: str
    """The name of its file in the package."""
    data: bytes = field(repr=False, compare=False)
    """Ogg Vorbis or G.722, by the end of the file's name."""


def plain_words(text: str) -> str:
    """Return a text's letters and digits, in lower case, its words with a space between.

    Two texts with the same are the same sentence, written otherwise.
    """
    return " ".join(_APART.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())


@dataclass(frozen=True)
class Heard:
    """What is known of a recording once it is decoded."""

    recording: Recording
    wav: str
    """The name of its file in the corpus."""
    seconds: float
    speech: float
    """Seconds from the first to the last that is loud."""
    peak: float
    """The largest sample, of 1."""
    digest: str
    """Of its samples; empty where it can't be decoded."""

    @property
    def language(self) -> str:
        """What is spoken."""
        return self.recording.language


@dataclass(frozen=True)
class Utterance:
    """A recording with what it says."""

    phrase: Phrase
    heard: Heard

    @property
    def language(self) -> str:
        """What is spoken."""
        return self.heard.language

    @property
    def text(self) -> str:
        """What is said."""
        return self.phrase.texts[self.language]

    @property
    def speaker(self) -> str:
        """Who says it, as far as it is known."""
        role = f"{self.phrase.collection}-{self.language}-{self.phrase.role}"
        return self.heard.recording.speaker or role


@dataclass(frozen=True)
class Dropped:
    """A recording that isn't part of the corpus."""

    rule: str
    """Which of the rules leaves it out."""
    heard: Heard
    text: str
    """What it should say, as far as that is known."""
