"""What can be chosen of the corpus "people"."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Tuple

from fairseq_gist.corpora.people import asterisk, fillets, tuxpaint
from fairseq_gist.errors import OptionError

__all__ = ["DIRECTIONS", "INTO_ENGLISH", "MANY_TO_ONE", "ONE_TO_MANY", "SIZES", "PeopleOptions"]

MANY_TO_ONE, ONE_TO_MANY = DIRECTIONS = ("many-to-one", "one-to-many")

INTO_ENGLISH = tuple(sorted({*fillets.SPOKEN, *tuxpaint.SPOKEN, *asterisk.SPOKEN}))
"""What is spoken."""

FROM_CZECH = tuple(language for language in fillets.WRITTEN if language != "cs")
"""What the Czech dialogue is translated into."""


@dataclass(frozen=True)
class Size:
    """How much of everything a corpus holds."""

    share: float = 1.0
    """Of the utterances of training, in every language."""
    dev: int = 1 << 30
    """Utterances a language, at most."""
    test: int = 1 << 30
    """Utterances a language, at most."""


SIZES = {"small": Size(0.25, 30, 60), "full": Size()}


@dataclass(frozen=True)
class PeopleOptions:
    """What the corpus depends on."""

    packages: Path = field(
        default=Path("packages"),
        metadata={"help": "folder of the .deb files, as examples/people/fetch.sh fills it"},
    )
    direction: str = field(
        default=MANY_TO_ONE,
        metadata={
            "help": "'many-to-one', twelve languages are spoken and translated into English; "
            "'one-to-many', Czech is spoken and translated into ten languages",
            "choices": DIRECTIONS,
        },
    )
    size: str = field(
        default="full",
        metadata={
            "help": "'full', all that there is; 'small', a quarter of training, and 60 utterances "
            "a language to test on",
            "choices": tuple(SIZES),
        },
    )
    languages: Tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "those that are spoken, or of one-to-many those that are translated into",
            "metavar": "XX,XX",
            "unset": "all",
        },
    )
    any_version: bool = field(
        default=False,
        metadata={"help": "take packages of other versions than those that this was written for"},
    )

    @property
    def is_many_to_one(self) -> bool:
        """Whether all is translated into English."""
        return self.direction == MANY_TO_ONE

    @property
    def plan(self) -> Size:
        """How much of everything there is."""
        return SIZES[self.size]

    def validate(self) -> None:
        """Raise OptionError for what can't be."""
        known = INTO_ENGLISH if self.is_many_to_one else FROM_CZECH
        unknown = sorted(set(self.languages) - set(known))
        if unknown:
            raise OptionError(
                f"--languages: '{unknown[0]}' is none of {', '.join(known)}, which the corpus has "
                f"of --direction {self.direction}"
            )

    def chosen(self) -> List[str]:
        """Return the many languages, in alphabetical order."""
        known = INTO_ENGLISH if self.is_many_to_one else FROM_CZECH
        return sorted(set(self.languages) or set(known))

    def spoken(self) -> List[str]:
        """Return the languages whose recordings are needed."""
        return self.chosen() if self.is_many_to_one else ["cs"]

    def plain(self) -> Dict[str, object]:
        """Return what the corpus depends on beside its packages, as its record has it."""
        return {
            "corpus": "people",
            "direction": self.direction,
            "size": self.size,
            "languages": self.chosen(),
        }
