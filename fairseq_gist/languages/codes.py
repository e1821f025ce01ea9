"""Codes of languages: what they say, and which of them mean the same.

Everything is looked up in the Unicode CLDR, as Babel brings it: ISO 639-1 and -3, older codes,
scripts, and which language a region has.
"""

from __future__ import annotations

import functools
import re
from typing import FrozenSet, List, Mapping, NamedTuple, Tuple

from babel.core import Locale, get_global

__all__ = [
    "Code",
    "base_code",
    "canonical_code",
    "is_code",
    "language_named",
    "parse_code",
    "readings",
    "same_code",
    "script_of",
]

_PARTS = re.compile(
    r"^(?P<language>[a-z]{2,3})([-_](?P<script>[a-z]{4}))?([-_](?P<region>[a-z]{2}|\d{3}))?$", re.I
)
_WRITTEN_AS_ONE = re.compile(r"^[a-z]{2,3}([-_][A-Z][a-z]{3})?([-_]([A-Z]{2}|\d{3}))?$")
_OFFICIAL = ("official", "de_facto_official")


class Code(NamedTuple):
    """What a code says; empty where it doesn't."""

    language: str
    """The shortest ISO 639 code in lower case: of two letters where there is one."""
    script: str = ""
    """ISO 15924, ``Hant``."""
    region: str = ""
    """ISO 3166 or UN M.49, ``BR``."""


@functools.lru_cache(maxsize=None)
def parse_code(code: str) -> Code:
    """Return what a code says, whichever way it is written.

    What is no code counts as a language of its own name.

    >>> parse_code("zho_Hant_TW")
    Code(language='zh', script='Hant', region='TW')
    >>> parse_code("pt-br")
    Code(language='pt', script='', region='BR')
    """
    match = _PARTS.match(code)
    if not match:
        return Code(_shortest(re.split("[-_]", code)[0].lower()).language)
    known = _shortest(match.group("language").lower())
    script = (match.group("script") or known.script).title()
    return Code(known.language, script, (match.group("region") or known.region).upper())


def base_code(code: str) -> str:
    """Return a language's shortest ISO 639 code, without region and script.

    >>> base_code("pt-BR"), base_code("zh_CN"), base_code("cmn_Hant"), base_code("ayl")
    ('pt', 'zh', 'zh', 'ayl')
    """
    return parse_code(code).language


def canonical_code(code: str) -> str:
    """Return a code in the case and with the hyphens of BCP 47, also of a language's English name.

    What is neither stays as it is.

    >>> [canonical_code(code) for code in ("En", "zh_cn", "PT-br", "sr-latn", "es_419", "the_Old")]
    ['en', 'zh-CN', 'pt-BR', 'sr-Latn', 'es-419', 'the_Old']
    >>> [canonical_code(name) for name in ("estonian", "Brazilian Portuguese")]
    ['et', 'pt-BR']
    """
    match = _PARTS.match(code)
    if not match or not is_code(match.group("language").lower()):
        return _code_of_name(code) or code
    language, script, region = match.group("language", "script", "region")
    parts = (language.lower(), (script or "").title(), (region or "").upper())
    return "-".join(part for part in parts if part)


def language_named(text: str) -> str:
    """Return the code of a language that is told by its name or by a well-known code, or nothing.

    Of the codes of three letters, of which nearly all mean some language, those count that the
    CLDR has a name for.

    >>> [language_named(text) for text in ("Estonian", "est", "DE", "zh_CN", "wav", "path")]
    ['et', 'est', 'de', 'zh-CN', '', '']
    """
    code = canonical_code(text)
    return code if base_code(code) in set(_names().values()) and is_code(code) else ""


def same_code(one: str, other: str) -> bool:
    """Whether two codes mean the same, whatever their case, separators and number of letters.

    >>> same_code("zh_cn", "zh-CN"), same_code("ga", "gle"), same_code("pt", "pt-BR")
    (True, True, False)
    """
    if one.replace("_", "-").casefold() == other.replace("_", "-").casefold():
        return True
    return all(map(_PARTS.match, (one, other))) and parse_code(one) == parse_code(other)


def script_of(code: str) -> str:
    """Return the script (ISO 15924) that a language is written in, empty where nobody knows.

    >>> script_of("jpn"), script_of("yue"), script_of("zh_Latn"), script_of("zh-TW")
    ('Jpan', 'Hant', 'Latn', 'Hant')
    """
    found = parse_code(code)
    likely = get_global("likely_subtags")
    for key in (f"{found.language}_{found.region}", found.language):
        if not found.script and key in likely:
            return Code(*_three(likely[key])).script
    return found.script


def is_code(code: str) -> bool:
    """Whether a text is written as one code is: ``pt``, ``pt-BR``, ``zh_Hant``, ``cmn_Hans_CN``.

    Two letters have to be a language's; three may be any, as ISO 639-3 has seven thousand.
    """
    if not _WRITTEN_AS_ONE.match(code):
        return False
    language = re.split("[-_]", code)[0]
    return len(language) == 3 or language in _two_letters()


def _code_of_name(name: str) -> str:
    return _names().get(" ".join(name.split()).casefold(), "")


@functools.lru_cache(maxsize=None)
def _names() -> Mapping[str, str]:
    """The languages' English names, in lower case, each with its code."""
    names = Locale("en").languages.items()
    return {name.casefold(): code.replace("_", "-") for code, name in names}


@functools.lru_cache(maxsize=None)
def readings(text: str, between: str = "-") -> List[Tuple[str, ...]]:
    """Return the ways to read codes with something between: as one, or as a pair of languages.

    ``pt-br`` is the Portuguese of Brazil, or Portuguese and Breton.

    >>> readings("de-en"), readings("en-zh-CN"), readings("pt-br"), readings("zh-cn")
    ([('de', 'en')], [('en', 'zh-CN')], [('pt-br',), ('pt', 'br')], [('zh-cn',)])
    """
    parts = text.split(between)
    halves = [
        (between.join(parts[:cut]), between.join(parts[cut:])) for cut in range(1, len(parts))
    ]
    pairs = [half for half in halves if is_code(half[0]) and is_code(half[1])]
    one, two = base_code(parts[0]), base_code(parts[-1])
    as_one = is_code(text) or (len(parts) == 2 and one != two and _is_official(one, parts[1]))
    if as_one or not pairs:
        return [(text,), *pairs]
    return list(pairs)


@functools.lru_cache(maxsize=None)
def _shortest(language: str) -> Code:
    aliases: Mapping[str, str] = get_global("language_aliases")
    return Code(*_three(aliases.get(language, language)))


def _three(locale: str) -> Tuple[str, str, str]:
    language, *others = locale.split("_")
    script = next((part for part in others if len(part) == 4), "")
    region = next((part for part in others if len(part) in (2, 3)), "")
    return language, script, region


@functools.lru_cache(maxsize=None)
def _two_letters() -> FrozenSet[str]:
    """The languages that have a code of two letters, by it."""
    found = {*get_global("language_aliases"), *get_global("likely_subtags")}
    found.update(*get_global("territory_languages").values())
    return frozenset(code.split("_")[0] for code in found if len(code.split("_")[0]) == 2)


def _is_official(language: str, region: str) -> bool:
    """Whether a language is one of those of a region, so that its code may follow."""
    there = get_global("territory_languages").get(region.upper(), {})
    return any(
        base_code(own) == language and about.get("official_status") in _OFFICIAL
        for own, about in there.items()
    )
