"""Phrases in English and other languages, from the Unicode CLDR and numbers in words.

Four kinds: full dates, counted units ("three hundred and twelve kilometers"), relative times
("in five weeks") and, for the larger corpus, names of territories, languages, scripts and
currencies. Every phrase has targets in all languages, so which phrases there are depends on them:
what one of them can't say as a native would write it is left out for all.
"""

from __future__ import annotations

import datetime
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from fairseq_gist.corpora.cldr.cases import DECLINING, declines, instrumental
from fairseq_gist.corpora.cldr.languages import LANGUAGES, LOCALES
from fairseq_gist.corpora.cldr.numbers import agrees, in_words
from fairseq_gist.corpora.cldr.units import PERIODS, UNITS, named
from fairseq_gist.errors import DataError

__all__ = ["Phrase", "choose", "date", "measure", "names", "normalise", "ordered", "relative"]

_FIRST_DAY, _LAST_DAY = datetime.date(1950, 1, 1), datetime.date(2049, 12, 31)


@dataclass(frozen=True)
class Phrase:
    """One English phrase with its translation into every target language."""

    kind: str
    english: str
    targets: Mapping[str, str]

    def text(self, language: str) -> str:
        """The phrase in any language, English among them."""
        return self.english if language == "en" else self.targets[language]


def normalise(text: str) -> str:
    """NFC, with every kind of space (no-break, narrow) made a plain one, and none doubled."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def date(day: datetime.date, languages: Sequence[str] = LANGUAGES) -> Phrase:
    """A full date: "Friday, March 5, 2021"."""
    from babel.dates import format_date

    return _phrase("date", languages, lambda tag: format_date(day, "full", locale=LOCALES[tag]))


def measure(number: int, unit: str, languages: Sequence[str] = LANGUAGES) -> Phrase:
    """A counted unit with its number in words; ``unit`` is a CLDR name (``length-meter``)."""
    from babel.units import format_unit

    def form(tag: str) -> str:
        text = format_unit(number, unit, length="long", locale=LOCALES[tag])
        if unit in text:  # Babel's answer when the locale has no long form
            raise DataError(f"CLDR has no name of {unit} in {tag}")
        return _spell(text, number, in_words(number, tag), tag)

    return _phrase("unit", languages, form)


def relative(number: int, period: str, languages: Sequence[str] = LANGUAGES) -> Phrase:
    """A relative time, past where ``number`` is negative: "in five weeks", "nine days ago"."""
    from babel.dates import format_timedelta

    delta = datetime.timedelta(seconds=number * PERIODS[period][0])

    def form(tag: str) -> str:
        text = format_timedelta(
            delta, granularity=period, threshold=1e9, add_direction=True, locale=LOCALES[tag]
        )
        spell = instrumental if number < 0 and tag in DECLINING else in_words
        return _spell(text, abs(number), spell(abs(number), tag), tag)

    return _phrase("relative", languages, form)


def names(languages: Sequence[str] = LANGUAGES) -> List[Phrase]:
    """Names of territories, languages, scripts and currencies that have all translations."""
    locales = {tag: _locale(LOCALES[tag]) for tag in ("en", *languages)}
    found: Dict[str, Phrase] = {}
    for kind in ("territories", "languages", "scripts", "currencies"):
        tables = {tag: getattr(locale, kind) for tag, locale in locales.items()}
        for code in sorted(tables["en"]):
            if any(code not in table for table in tables.values()):
                continue
            phrase = _translated(kind, {tag: table[code] for tag, table in tables.items()})
            if any(text != phrase.english for text in phrase.targets.values()):
                found.setdefault(phrase.english, phrase)
    return list(found.values())


def choose(
    count: int, seed: int, with_names: bool = False, languages: Sequence[str] = LANGUAGES
) -> List[Phrase]:
    """``count`` phrases with distinct English, the same for the same seed and languages, in order.

    Names, where wanted, are all taken; of the rest 45% are units (half of them with numbers
    above a hundred), up to 25% relative times (not more than 60% of those there are) and the
    remainder dates.
    """
    chosen = names(languages) if with_names else []
    if len(chosen) >= count:
        raise DataError(f"{len(chosen)} names leave no room in a corpus of {count} phrases")
    rest = count - len(chosen)
    periods = list(_relative_times(languages))
    n_relative = min(rest // 4, len(periods) * 3 // 5)
    n_small = n_large = rest * 45 // 200
    counted = ordered(list(_measures(2, 99, languages)), seed)[:n_small]
    counted += ordered(list(_measures(100, 999, languages)), seed)[:n_large]
    chosen += [relative(n, period, languages) for n, period in ordered(periods, seed)[:n_relative]]
    chosen += [measure(n, unit, languages) for n, unit in counted]
    n_dates = rest - n_relative - n_small - n_large
    chosen += [date(day, languages) for day in ordered(list(_days()), seed)[:n_dates]]
    unique = {phrase.english: phrase for phrase in chosen}
    if len(unique) != count:
        raise DataError(f"wanted {count} distinct English phrases, found {len(unique)}")
    return [unique[english] for english in ordered(list(unique), seed)]


def ordered(keys: Sequence[Any], seed: object) -> List[Any]:
    """``keys`` in an order that depends on the seed and on each key alone, on any Python."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{seed}\t{key}".encode()).digest())


def _relative_times(languages: Sequence[str]) -> Iterator[Tuple[int, str]]:
    declining = not set(DECLINING).isdisjoint(languages)
    for period, (_, genders) in PERIODS.items():
        for number in range(2, 100):
            if agrees(number, genders, languages):
                yield number, period
                if declines(number) or not declining:
                    yield -number, period


def _measures(smallest: int, largest: int, languages: Sequence[str]) -> Iterator[Tuple[int, str]]:
    for unit, genders in UNITS.items():
        for number in range(smallest, largest + 1):
            if named(unit, languages) and agrees(number, genders, languages):
                yield number, unit


def _days() -> Iterator[datetime.date]:
    for ordinal in range(_FIRST_DAY.toordinal(), _LAST_DAY.toordinal() + 1):
        day = datetime.date.fromordinal(ordinal)
        if day.day != 1:  # French writes 1er, CLDR does not
            yield day


def _spell(text: str, number: int, words: str, tag: str) -> str:
    if text.count(str(number)) != 1:
        raise DataError(f"expected the number {number} once in CLDR's {text!r} ({tag})")
    return text.replace(str(number), words)


def _phrase(kind: str, languages: Sequence[str], form: Callable[[str], str]) -> Phrase:
    return _translated(kind, {tag: form(tag) for tag in ("en", *languages)})


def _translated(kind: str, forms: Mapping[str, str]) -> Phrase:
    texts = {tag: normalise(text) for tag, text in forms.items()}
    return Phrase(kind, texts.pop("en"), texts)


def _locale(name: str) -> Any:
    from babel import Locale

    return Locale.parse(name)
