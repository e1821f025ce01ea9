"""The words of the page, explained where they first appear."""

from __future__ import annotations

import re
from typing import List, NamedTuple

__all__ = ["WORDS", "Reader", "Word"]


class Word(NamedTuple):
    """A word.

    Attributes:
        name: as it is explained.
        pattern: a regular expression for it in a text.
        meaning: in a few words.
        page: of the documentation, which says more.
    """

    name: str
    pattern: str
    meaning: str
    page: str


WORDS = (
    Word(
        "unit",
        r"\bunits?\b",
        "the smallest thing that is shared or split: one projection, norm or embedding of the "
        "model, named by the path of its module",
        "docs/words.md",
    ),
    Word(
        "plan",
        r"\bplans?\b",
        "which languages share which unit. A unit that is split has a copy for every group of "
        "languages; copies begin equal and go their own ways in training",
        "docs/words.md",
    ),
    Word(
        "cosine",
        r"\bcosines?\b",
        "how far the gradients of two languages on a unit point the same way, noise taken out: 1 "
        "if they want the same of it, 0 if they have nothing to do with each other",
        "docs/statistics-format.md",
    ),
    Word(
        "BLEU, chrF",
        r"\b(BLEU|chrF)\b",
        "how much of a translation's words, or runs of letters, are those of the reference: up to "
        "100, higher is better",
        "docs/scoring.md",
    ),
    Word(
        "p",
        r"\bp (=|&lt;|<)",
        "how often chance alone would bring a difference as large: below 0.05 it is called "
        "significant",
        "docs/scoring.md",
    ),
    Word(
        "chunk",
        r"\bchunks?\b",
        "a part of the data of which the gradients of every language are kept apart: how well "
        "chunks agree tells a gradient from noise",
        "docs/statistics-format.md",
    ),
    Word(
        "conflict",
        r"\bconflicts?\b",
        "a cosine below zero: what helps one language hurts the other",
        "docs/analyses.md",
    ),
    Word(
        "delta",
        r"\bdelta\b",
        "mean cosine between chunks of one language minus that between languages: 0 where "
        "languages differ no more than chunks do",
        "docs/analyses.md",
    ),
)


class Reader:
    """Somebody who reads the page from the top, and is told each word once."""

    def __init__(self) -> None:
        self._unknown = list(WORDS)

    def meets(self, *texts: str) -> List[Word]:
        """Return the words of these texts that haven't been met before."""
        text = "\n".join(texts)
        found = [word for word in self._unknown if re.search(word.pattern, text, re.IGNORECASE)]
        self._unknown = [word for word in self._unknown if word not in found]
        return found
