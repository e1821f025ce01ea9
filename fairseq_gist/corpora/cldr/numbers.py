"""Numbers in words that agree with the unit they count.

``num2words`` knows one form of every number, the masculine. Where the unit is feminine (or
neuter) and the number has a form for that, :func:`agrees` says no, and the phrase is left out: a
target that no native would write teaches nothing. What it spells as no native would is mended.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Mapping, Sequence, Tuple

from fairseq_gist.corpora.cldr.languages import LANGUAGES, NUMBERS_OF
from fairseq_gist.errors import DataError

__all__ = ["agrees", "in_words"]

_LARGEST = 999

_MENDED: Dict[str, Sequence[Tuple[str, str]]] = {
    # hundreds are words of their own: dvě stě, pět set
    "cs": [(r"\b(dvě|tři|čtyři|pět|šest|sedm|osm|devět)(stě|sta|set)\b", r"\1 \2")],
    # to hundrede, and tres (but halvtreds)
    "da": [(r"(?<=\w)hundrede", " hundrede"), ("(?<!halv)treds", "tres")],
    # the short form before a noun: veintiún kilómetros
    "es": [("veintiuno$", "veintiún"), (r"\buno$", "un")],
    # the accent is obligatory in compounds
    "it": [(r"(?<=\w)tre$", "tré")],
    # hundre is neuter, and needs no number
    "nb": [("^en hundre", "hundre")],
    # tjugoen kilometer: -ett after tens is for a few neuters alone
    "sv": [(r"(?<=\w)ett$", "en")],
    # the apostrophe that the CLDR's own words have
    "uk": [("'", "\u02bc")],
}
"""Language -> what is replaced in num2words' words, and by what."""


def in_words(number: int, language: str) -> str:
    """``number`` (2 to 999) as it stands before a masculine noun in ``language``."""
    if not 2 <= number <= _LARGEST:
        raise DataError(f"numbers in words go from 2 to {_LARGEST}, found {number}")
    try:
        from num2words import num2words
    except ImportError as error:
        raise DataError(
            'num2words is missing: pip install "fairseq-gist[corpora]" brings it'
        ) from error
    words: str = num2words(number, lang=NUMBERS_OF.get(language, language))
    for pattern, replacement in _MENDED.get(language, ()):
        words = re.sub(pattern, replacement, words)
    return words


def agrees(number: int, genders: Mapping[str, str], languages: Sequence[str] = LANGUAGES) -> bool:
    """Whether :func:`in_words` is right in all ``languages`` for a unit of these ``genders``.

    ``genders`` maps a language to ``m``, ``f`` or ``n``; a language that isn't in it is
    masculine, or doesn't care. German and Dutch have no rule of gender here, but "hundertein"
    and "honderdeen" before a noun are disputed, so no number that ends in 01 is used at all.
    Danish has one form ("enogtyve").
    """
    if number % 100 == 1:
        return False
    return not any(
        _DISAGREES[language](number, genders.get(language, "m"))
        for language in languages
        if language in _DISAGREES
    )


def _ends_in(number: int, *digits: int) -> bool:
    """The last digit is one of ``digits``, and the number isn't one of the teens."""
    return number % 10 in digits and not 10 < number % 100 < 20


def _catalan(number: int, gender: str) -> bool:
    return gender == "f" and (_ends_in(number, 1, 2) or number >= 200)


def _czech(number: int, gender: str) -> bool:
    """Czech and Slovak, which count in the genitive from five on, and after any compound.

    "Dvacet jedna" and "dvadsaťjeden" are right for every gender then. After a hundred and two,
    three or four, both "sto dva metry" and "sto dva metrů" are written: no such number is used.
    """
    return (gender == "f" and _ends_in(number, 2)) or (number > 100 and number % 100 in (2, 3, 4))


def _french(number: int, gender: str) -> bool:
    return gender != "m" and _ends_in(number, 1) and number % 100 not in (71, 91)


def _italian(number: int, gender: str) -> bool:
    return gender != "m" and _ends_in(number, 1)


def _norwegian(number: int, gender: str) -> bool:
    return gender == "n" and _ends_in(number, 1)  # tjueen, tjueett; Swedish tjugoen, tjugoett


def _polish(number: int, gender: str) -> bool:
    return gender == "f" and _ends_in(number, 2)  # dwadzieścia jeden has no gender


def _portuguese(number: int, gender: str) -> bool:
    return gender != "m" and (_ends_in(number, 1, 2) or number >= 200)


def _romanian(number: int, gender: str) -> bool:
    if gender != "m" and number % 10 == 2:  # doi/două, and doisprezece/douăsprezece too
        return True
    return gender == "f" and _ends_in(number, 1)


def _russian(number: int, gender: str) -> bool:
    return gender != "m" and _ends_in(number, 1, 2)


def _spanish(number: int, gender: str) -> bool:
    return gender != "m" and (_ends_in(number, 1) or number >= 200)


_DISAGREES: Dict[str, Callable[[int, str], bool]] = {
    "ca": _catalan,
    "cs": _czech,
    "es": _spanish,
    "fr": _french,
    "it": _italian,
    "nb": _norwegian,
    "pl": _polish,
    "pt": _portuguese,
    "ro": _romanian,
    "ru": _russian,
    "sk": _czech,
    "sv": _norwegian,
    "uk": _russian,
}
