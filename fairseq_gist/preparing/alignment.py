"""Which segments of several languages are one utterance: same talk, same time, same words.

Every language of a MuST-C release cuts the talks by itself: what one language has as a sentence is
half of one in another, and where they agree times may differ a little. So utterances with all
languages, as Wang et al. (Interspeech 2022, section 3) compare gradients on, have to be looked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from fairseq_gist.languages.words import words
from fairseq_gist.preparing.layouts.base import Segment

__all__ = ["REASONS", "TOLERANCE", "Aligned", "Distinct", "Row", "align_by_time"]

TOLERANCE = 0.1
"""Seconds by which offset and duration may differ, each.

The words have to be equal anyway; time only tells sentences apart that are said twice in a talk.
"""

REASONS = (
    "talk_missing",
    "no_segment",
    "time_differs",
    "english_differs",
    "repeated",
    "dropped_too_short",
    "dropped_too_long",
    "dropped_without_text",
    "dropped_as_faulty",
)
"""Why a language has no part in an utterance; ``docs/data.md`` says what each means."""


@dataclass(frozen=True)
class Row:
    """A segment in one language, and why it has no row of its own, if it has none."""

    segment: Segment
    dropped: Optional[str] = None


@dataclass
class Aligned:
    """What :func:`align_by_time` has found."""

    languages: Tuple[str, ...]
    rows: List[Tuple[Row, ...]] = field(default_factory=list)
    """`[utterances][languages]`, in the order of the first language's segments."""
    candidates: int = 0
    """Segments of the first language."""
    unmatched: Dict[str, Counter[str]] = field(default_factory=dict)
    """Language -> reason -> number of candidates."""
    alone: Counter[str] = field(default_factory=Counter)
    """Language -> number of candidates that all other languages have."""

    def counts(self) -> Dict[str, object]:
        """Give the numbers as plain dictionaries, without zeros."""
        return {
            "candidates": self.candidates,
            "matched": len(self.rows),
            "unmatched": {
                language: {reason: found[reason] for reason in REASONS if found[reason]}
                for language, found in self.unmatched.items()
                if found
            },
            "missing_in_one_language": {
                language: self.alone[language]
                for language in self.languages
                if self.alone[language]
            },
        }


def align_by_time(languages: Mapping[str, Sequence[Row]], tolerance: float = TOLERANCE) -> Aligned:
    """Match every segment of the first language with one of each other language.

    A match has the same ``wav``, offset and duration within ``tolerance`` seconds, and the same
    :func:`~fairseq_gist.languages.words.words` of the source language. Of several the nearest is
    taken, of equally near ones the first; no segment is in two utterances, and no place of the
    first language's audio either.
    """
    first, *others = languages
    result = Aligned(tuple(languages), unmatched={language: Counter() for language in languages})
    indices = {language: _Index(languages[language], tolerance) for language in others}
    taken: Set[Tuple[str, int, int]] = set()
    for row in languages[first]:
        result.candidates += 1
        key = words(row.segment.source)
        lacking = {}
        reason = "repeated" if _place(row.segment) in taken else row.dropped
        if reason:
            lacking[first] = reason
        partners = [row]
        for language in others:
            partner, reason = indices[language].find(row.segment, key)
            if partner is None:
                lacking[language] = reason
            else:
                partners.append(partner)
        for language, why in lacking.items():
            result.unmatched[language][why] += 1
        if len(lacking) == 1:
            result.alone.update(list(lacking))
        if not lacking:
            taken.add(_place(row.segment))
            result.rows.append(tuple(partners))
            for language, partner in zip(others, partners[1:]):
                indices[language].take(partner)
    return result


class Distinct:
    """Tells the segments of several languages that are an utterance of their own."""

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        self._tolerance = tolerance
        self._seen: Dict[Tuple[str, Tuple[str, ...]], List[Tuple[float, float]]] = {}

    def is_new(self, segment: Segment) -> bool:
        """Whether no segment before had the same talk, words and, within the tolerance, time."""
        known = self._seen.setdefault((segment.wav, words(segment.source)), [])
        times = (segment.offset, segment.duration)
        if any(_apart(times, other) <= self._tolerance for other in known):
            return False
        known.append(times)
        return True


class _Index:
    """The segments of one language by talk and by words."""

    def __init__(self, rows: Sequence[Row], tolerance: float) -> None:
        self._tolerance = tolerance
        self._talks: Dict[str, Dict[Tuple[str, ...], List[Row]]] = {}
        self._times: Dict[str, Dict[int, List[Segment]]] = {}
        self._taken: Set[int] = set()
        for row in rows:
            talk = self._talks.setdefault(row.segment.wav, {})
            talk.setdefault(words(row.segment.source), []).append(row)
            times = self._times.setdefault(row.segment.wav, {})
            times.setdefault(self._slot(row.segment), []).append(row.segment)

    def find(self, segment: Segment, key: Tuple[str, ...]) -> Tuple[Optional[Row], str]:
        """The match of ``segment``, or None and the reason."""
        if segment.wav not in self._talks:
            return None, "talk_missing"
        same_words = self._talks[segment.wav].get(key, [])
        near = [row for row in same_words if self._is_near(segment, row.segment)]
        free = [row for row in near if row.segment.line not in self._taken]
        kept = [row for row in free if row.dropped is None]
        if kept:
            return min(kept, key=lambda row: _distance(segment, row.segment)), ""
        if free:
            return None, str(free[0].dropped)
        if near:
            return None, "repeated"
        if self._anything_near(segment):
            return None, "english_differs"
        return None, "time_differs" if same_words else "no_segment"

    def take(self, row: Row) -> None:
        """Keep ``row`` from being found again."""
        self._taken.add(row.segment.line)

    def _slot(self, segment: Segment) -> int:
        return int(segment.offset // max(1.0, self._tolerance))

    def _is_near(self, one: Segment, other: Segment) -> bool:
        times = (other.offset, other.duration)
        return _apart((one.offset, one.duration), times) <= self._tolerance

    def _anything_near(self, segment: Segment) -> bool:
        times, slot = self._times[segment.wav], self._slot(segment)
        return any(
            self._is_near(segment, other)
            for place in (slot - 1, slot, slot + 1)
            for other in times.get(place, [])
        )


def _apart(one: Tuple[float, float], other: Tuple[float, float]) -> float:
    """The larger difference of offset and duration; to the microsecond, as releases write them."""
    return round(max(abs(one[0] - other[0]), abs(one[1] - other[1])), 6)


def _distance(one: Segment, other: Segment) -> Tuple[float, int]:
    return abs(one.offset - other.offset) + abs(one.duration - other.duration), other.line


def _place(segment: Segment) -> Tuple[str, int, int]:
    return segment.wav, round(segment.offset * 1000), round(segment.duration * 1000)
