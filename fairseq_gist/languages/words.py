"""What two texts have to have in common to say the same."""

from __future__ import annotations

import unicodedata
from typing import Tuple

__all__ = ["words"]

_GLUE = frozenset("'\u2019\u02bc\u00ad")
"""Apostrophes and the soft hyphen, which stand inside a word."""


def words(text: str) -> Tuple[str, ...]:
    """What is compared: letters and digits, compatibility forms and case folded.

    Punctuation doesn't count, apostrophes join and all else separates words. A text without any
    letter or digit is compared as it is, but for spaces.

    >>> words("It’s  (a) Well-known fact!") == words("it's a well known FACT")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(letter if letter.isalnum() else " " for letter in folded if letter not in _GLUE)
    return tuple(kept.split() or folded.split())
