"""What is counted: units and periods of time, with their genders in the languages."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Mapping, Tuple

__all__ = ["PERIODS", "UNITS", "named"]


def _genders(f: str = "", n: str = "") -> Mapping[str, str]:
    """Language -> ``f`` or ``n``, from languages separated by spaces."""
    return {**dict.fromkeys(f.split(), "f"), **dict.fromkeys(n.split(), "n")}


_FOOT = _genders(f="cs pl sk", n="ro")
_GRAM = _genders(n="nb ro sv")
_BYTE = _genders(n="nb")
_SECOND = _genders(f="cs fr pl ro ru sk uk", n="nb")
_MINUTE = _genders(f="cs fr pl ru sk uk", n="nb ro")
_WEEK = _genders(f="ca es fr it pt ro ru")

UNITS: Dict[str, Mapping[str, str]] = {
    "length-kilometer": {},
    "length-meter": {},
    "length-centimeter": {},
    "length-millimeter": {},
    "length-foot": _FOOT,
    "length-mile": _genders(f="ca cs es it pl pt ro ru sk"),
    "area-square-kilometer": {},
    "area-square-meter": {},
    "area-hectare": _genders(f="ca es", n="nb ro sv"),
    "volume-liter": {},
    "volume-milliliter": {},
    "volume-cubic-meter": {},
    "mass-kilogram": _GRAM,
    "mass-gram": _GRAM,
    "mass-milligram": _GRAM,
    "duration-second": _SECOND,
    "duration-minute": _MINUTE,
    "duration-week": _WEEK,
    "temperature-celsius": _genders(n="ro"),
    "power-watt": {},
    "power-kilowatt": {},
    "electric-volt": {},
    "digital-megabyte": _BYTE,
    "digital-gigabyte": _BYTE,
    "speed-kilometer-per-hour": {},
    "speed-meter-per-second": {},
    "frequency-hertz": {},
    "energy-calorie": _genders(f="ca cs es fr it pl pt ro ru sk uk"),
}
"""CLDR's name of a unit -> its gender, where it isn't masculine or the number doesn't care."""

PERIODS: Dict[str, Tuple[int, Mapping[str, str]]] = {
    "second": (1, _SECOND),
    "minute": (60, _MINUTE),
    "hour": (3600, _genders(f="ca cs es fr it pl pt ro sk uk")),
    "day": (86400, _genders(f="ro", n="nb")),
    "week": (7 * 86400, _WEEK),
    "month": (30 * 86400, _genders(f="ro")),
    "year": (365 * 86400, _genders(n="nb sv")),
}
"""A period of relative times -> its length as Babel counts it, in seconds, and its genders."""

_UNNAMED: Dict[str, FrozenSet[str]] = {
    "length-foot": frozenset(("da", "nb", "sv")),
    "length-mile": frozenset(("da", "nb", "sv", "uk")),
}
"""Where the CLDR has no name of a unit, or (a mile in Danish and Swedish) the English word."""


def named(unit: str, languages: Iterable[str]) -> bool:
    """Whether every language has a name of its own for the unit."""
    return _UNNAMED.get(unit, frozenset()).isdisjoint(languages)
