"""What can be chosen of the corpus "cldr"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Tuple

from fairseq_gist.corpora.cldr.languages import ALL, LANGUAGES
from fairseq_gist.errors import OptionError

__all__ = ["DIRECTIONS", "MANY_TO_ONE", "ONE_TO_MANY", "SIZES", "UNSAID", "CldrOptions", "Size"]

ONE_TO_MANY, MANY_TO_ONE = DIRECTIONS = ("one-to-many", "many-to-one")

_SIX_VOICES = ("en-us", "en-us+f2", "en-us+m5", "en-gb-x-rp+m3", "en-gb-x-gbclan+f3", "en-029+m1")
_TWELVE_VOICES = (
    *_SIX_VOICES,
    "en-gb-scotland",
    "en-us+m7",
    "en-gb-x-rp+f3",
    "en-gb-x-gbcwmd+m4",
    "en-us+f5",
    "en-gb-scotland+f2",
)


@dataclass(frozen=True)
class Size:
    """How much of everything a corpus holds."""

    train: int
    dev: int
    test: int
    names: bool = False
    """Names of the CLDR beside the compositional phrases."""
    voices: Tuple[str, ...] = _SIX_VOICES
    """Voices of training."""
    repeats: int = 2
    """Voices that say a phrase of training."""
    dev_voice: str = "en-us+f4"
    test_voice: str = "en-us+m2"
    talk: int = 20
    """Utterances of a talk, at most."""


SIZES = {
    "tiny": Size(40, 8, 8, voices=_SIX_VOICES[:2], repeats=1, talk=8),
    "small": Size(1200, 100, 300),
    "full": Size(6000, 300, 600, names=True, voices=_TWELVE_VOICES, repeats=4, talk=40),
}
"""``tiny`` is for trying out the tools; nothing can be learned from it."""

UNSAID: Dict[str, object] = {
    "direction": ONE_TO_MANY,
    "languages": list(LANGUAGES),
    "sizes": {},
}
"""What a record means that doesn't say these."""


@dataclass(frozen=True)
class CldrOptions:
    """What the corpus depends on."""

    size: str = field(
        default="small",
        metadata={
            "help": "'small', 1,200 phrases of training; 'full', 6,000, with names; 'tiny', 40, "
            "for trying out the tools",
            "choices": tuple(SIZES),
        },
    )
    direction: str = field(
        default=ONE_TO_MANY,
        metadata={
            "help": "'one-to-many', English is spoken and translated into the languages; "
            "'many-to-one', these are spoken and translated into English",
            "choices": DIRECTIONS,
        },
    )
    languages: Tuple[str, ...] = field(
        default=(),
        metadata={
            "help": f"languages beside English, of {', '.join(ALL)}",
            "metavar": "XX,XX",
            "unset": f"the eight of MuST-C, {', '.join(LANGUAGES)}",
        },
    )
    sizes: Mapping[str, int] = field(
        default_factory=dict,
        metadata={
            "help": "phrases of training in these languages, where they are to have fewer",
            "metavar": "XX=N,XX=N",
            "unset": "all",
        },
    )
    seed: int = field(default=1, metadata={"help": "of the choice of phrases and voices"})

    @property
    def plan(self) -> Size:
        """How much of everything there is."""
        return SIZES[self.size]

    @property
    def is_many_to_one(self) -> bool:
        """Whether the languages beside English are those that are spoken."""
        return self.direction == MANY_TO_ONE

    def validate(self) -> None:
        """Raise OptionError for what can't be."""
        unknown = sorted({*self.languages, *self.sizes} - set(ALL))
        if unknown:
            raise OptionError(f"'{unknown[0]}' is none of the corpus's {', '.join(ALL)}")
        chosen, most = self.chosen(), self.plan.train
        for language, size in self.sizes.items():
            if language not in chosen:
                raise OptionError(
                    f"--sizes: '{language}' is none of --languages {', '.join(chosen)}"
                )
            if not 1 <= size <= most:
                raise OptionError(
                    f"--sizes: expected 1 to {most} phrases, all that training has at this "
                    f"--size, found {language}={size}"
                )

    def chosen(self) -> List[str]:
        """Return the languages beside English, in alphabetical order."""
        return sorted(set(self.languages) or set(LANGUAGES))

    def translated(self) -> List[str]:
        """Return the languages that every phrase has: the eight and those chosen beside them.

        So the phrases of fewer languages than the eight are those of the eight.
        """
        return sorted({*LANGUAGES, *self.chosen()})

    def phrases_in(self, language: str) -> int:
        """Return how many phrases of training the language has, at most."""
        return self.sizes.get(language, self.plan.train)

    def plain(self) -> Dict[str, object]:
        """Return what the corpus depends on, as its record has it."""
        found: Dict[str, object] = {"corpus": "cldr", "size": self.size, "seed": self.seed}
        own = {
            "direction": self.direction,
            "languages": self.chosen(),
            "sizes": dict(sorted(self.sizes.items())),
        }
        return found if own == UNSAID else {**found, **own}
