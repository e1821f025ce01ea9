"""Numbers in words that agree with the unit they count.

``num2words`` knows one form of every number, the masculine. Where the unit is feminine (or, in
Romanian, neuter) and the number has a form for that, :func:`agrees` says no, and the phrase is
left out: a target that no native would write teaches nothing.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, Mapping

from fairseq_gist.errors import DataError

__all__ = ["LANGUAGES", "agrees", "in_words"]

LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")
"""The target languages, those of MuST-C."""

_LARGEST = 999


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
    words: str = num2words(number, lang=language)
    if language == "es":  # the short form before a noun: veintiún kilómetros
        words = re.sub("veintiuno$", "veintiún", words)
        words = re.sub(r"\buno$", "un", words)
    if language == "it" and number != 3:  # the accent is obligatory in compounds
        words = re.sub("tre$", "tré", words)
    return words


def agrees(number: int, genders: Mapping[str, str]) -> bool:
    """Whether the masculine number is right in every language for a unit of these ``genders``.

    ``genders`` maps a language to ``m``, ``f`` or ``n``; a language that isn't in it is
    masculine, or doesn't care. German and Dutch have no rule of gender here, but "hundertein"
    and "honderdeen" before a noun are disputed, so no number that ends in 01 is used at all.
    """
    if number % 100 == 1:
        return False
    return not any(
        _GENDERED[language](number, gender)
        for language, gender in genders.items()
        if gender != "m" and language in _GENDERED
    )


def _ends_in(number: int, *digits: int) -> bool:
    """The last digit is one of ``digits``, and the number isn't one of the teens."""
    return number % 10 in digits and not 10 < number % 100 < 20


def _spanish(number: int, _: str) -> bool:
    return _ends_in(number, 1) or number >= 200


def _french(number: int, _: str) -> bool:
    return _ends_in(number, 1) and number % 100 not in (71, 91)


def _italian(number: int, _: str) -> bool:
    return _ends_in(number, 1)


def _portuguese(number: int, _: str) -> bool:
    return _ends_in(number, 1, 2) or number >= 200


def _romanian(number: int, gender: str) -> bool:
    if number % 10 == 2:  # doi/două, and doisprezece/douăsprezece too
        return True
    return gender == "f" and _ends_in(number, 1)


def _russian(number: int, _: str) -> bool:
    return _ends_in(number, 1, 2)


_GENDERED: Dict[str, Callable[[int, str], bool]] = {
    "es": _spanish,
    "fr": _french,
    "it": _italian,
    "pt": _portuguese,
    "ro": _romanian,
    "ru": _russian,
}
