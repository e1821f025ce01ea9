"""What preparation asks of data, however they are laid out: languages, segments, audio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Dict, List, Optional, Tuple

from fairseq_gist.errors import DataError

__all__ = ["CheckedLayout", "Layout", "Segment"]


@dataclass(frozen=True)
class Segment:
    """One utterance of a talk with its text in two languages; times in seconds."""

    wav: str
    """The name of its audio, of one talk or of itself alone."""
    offset: float
    duration: float
    speaker: str
    """Empty where it isn't known."""
    source: str
    """Its transcript, empty where there is none."""
    target: str
    line: int
    """Its place in the file that lists it, from 1."""

    @property
    def end(self) -> float:
        """Where it ends in its talk, in seconds."""
        return self.offset + self.duration


@dataclass(frozen=True)
class Layout(ABC):
    """Data below a folder; the languages are those of one side, the other side has one language.

    Attributes:
        root: the folder.
        source: the language that is spoken, where there is one.
        target: the language that all is translated into, where many are spoken; None where many
            are translated into. ``language`` means one of the many everywhere.
    """

    root: Path
    source: str = "en"
    target: Optional[str] = None

    name: ClassVar[str]
    """What ``--layout`` calls it."""
    summary: ClassVar[str]
    """What it looks like, in a line of help."""

    @property
    def is_many_to_one(self) -> bool:
        """Whether the many languages are those that are spoken."""
        return self.target is not None

    def pair(self, language: str) -> Tuple[str, str]:
        """What is spoken and what it is translated into in the data of one language."""
        return (self.source, language) if self.target is None else (language, self.target)

    @abstractmethod
    def languages(self) -> List[str]:
        """The languages there are, sorted.

        Raises:
            DataError: where there is none.
        """

    @abstractmethod
    def folder(self, language: str) -> str:
        """What of the root is a language's own, for messages."""

    def splits(self) -> Tuple[str, ...]:
        """What is prepared unless something else is asked for: training, validation, tests."""
        return ("train", "dev", "tst-COMMON")

    def has(self, language: str, split: str) -> bool:
        """Whether a language has anything of a split; nothing else is asked of it otherwise."""
        return self.listing(language, split).exists()

    @abstractmethod
    def files(self, language: str, split: str) -> List[Path]:
        """The text files of a split: where they change, data prepared from them are others.

        Raises:
            DataError: where one is missing.
        """

    @abstractmethod
    def listing(self, language: str, split: str) -> Path:
        """The file that lists a split's segments, for messages."""

    def place(self, language: str, split: str, line: int) -> str:
        """Where a segment is listed, for messages."""
        return f"{self.listing(language, split)}: segment {line}"

    @abstractmethod
    def segments(self, language: str, split: str) -> List[Segment]:
        """Every segment of a split in the order of its files; that times fit is not checked.

        Raises:
            DataError: where something is missing or is not as it should be.
        """

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments of a split that are as they should be, and of the others why they aren't.

        Raises:
            DataError: where its files can't be told apart into segments.
        """
        return self.segments(language, split), {}

    @abstractmethod
    def wav(self, language: str, split: str, name: str) -> Path:
        """The audio that segments of a split name."""

    def channel(self, name: str) -> Optional[int]:
        """The channel, from 0, of which the audio of that name is; None: all are mixed."""
        return None

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether a folder looks like this layout, so that a message can say so."""
        return False


class CheckedLayout(Layout):
    """A layout whose segments are looked at one by one, so that a faulty one spoils no other."""

    def segments(self, language: str, split: str) -> List[Segment]:
        """Every segment of a split; raises with what is wrong with the first that is faulty."""
        segments, wrong = self.checked(language, split)
        if wrong:
            raise DataError(next(iter(wrong.values())))
        return segments

    @abstractmethod
    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not.

        Raises:
            DataError: where its files can't be told apart into segments.
        """
