"""Numbers in words in the instrumental case, after "ago" in Czech and Slovak.

``num2words`` knows the nominative only. All other prepositions of the phrases take the
accusative, in which numbers and what they count look the same, as none of it is alive.
"""

from __future__ import annotations

from typing import Dict, List

from fairseq_gist.corpora.cldr.numbers import in_words
from fairseq_gist.errors import DataError

__all__ = ["DECLINING", "declines", "instrumental"]

DECLINING = ("cs", "sk")
"""Languages that say "ago" with the instrumental: "před pěti dny", "pred piatimi dňami"."""

_IRREGULAR: Dict[str, Dict[int, str]] = {
    "cs": {2: "dvěma", 3: "třemi", 4: "čtyřmi", 9: "devíti"},
    "sk": {
        2: "dvoma",
        3: "tromi",
        4: "štyrmi",
        5: "piatimi",
        6: "šiestimi",
        7: "siedmimi",
        8: "ôsmimi",
        9: "deviatimi",
        10: "desiatimi",
    },
}


def declines(number: int) -> bool:
    """Whether the number has an undisputed instrumental: 21, 31, ... may stay as they are."""
    return number < 20 or number % 10 != 1


def instrumental(number: int, language: str) -> str:
    """``number`` (2 to 99) in the instrumental of one of :data:`DECLINING`; every part declines."""
    if not (2 <= number <= 99 and declines(number)):
        raise DataError(f"no instrumental of {number}: expected 2 to 99, but for 21, 31, ...")
    tens, ones = (0, number) if number < 20 else (number - number % 10, number % 10)
    parts: List[int] = [part for part in (tens, ones) if part]
    return " ".join(
        _IRREGULAR[language].get(part) or _regular(in_words(part, language), language)
        for part in parts
    )


def _regular(word: str, language: str) -> str:
    if language == "cs":  # dvacet, dvaceti
        return f"{word}i"
    if word.endswith("sať"):  # dvadsať, dvadsiatimi
        return f"{word[:-2]}iatimi"
    if word.endswith("sť"):  # dvanásť, dvanástimi
        return f"{word[:-1]}timi"
    return f"{word}imi"  # päťdesiat, päťdesiatimi
