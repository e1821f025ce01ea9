"""Which language a row of a batch is, and in which order a model keeps its languages."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.languages.codes import base_code, readings
from fairseq_gist.languages.names import Named, named_languages

__all__ = [
    "KEYS_IN_WORDS",
    "LANGUAGE_KEYS",
    "LANGUAGE_TAG",
    "PAIR",
    "SOURCE",
    "TARGET",
    "UNKNOWN",
    "language_tags",
    "languages_of_vocabulary",
    "row_languages",
    "target_languages",
]

LANGUAGE_KEYS = TARGET, SOURCE, PAIR = ("tgt", "src", "pair")

KEYS_IN_WORDS = (
    "'tgt', that of its target, 'src', that of its source, or 'pair', both, such as de-en"
)
"""What the language of a row can be: that of the target, of the source, or both (``de-en``)."""

UNKNOWN = "und"
"""ISO 639's code of a language that isn't known."""

LANGUAGE_TAG = "<lang:{}>"
_TAG_PATTERN = re.compile(r"^<lang:(.+)>$")


def languages_of_vocabulary(symbols: Iterable[str]) -> List[str]:
    """Return the languages that have a tag among ``symbols``, in alphabetical order.

    The order is that of the names, not of the vocabulary, so that a plan made with one vocabulary
    means the same with another.
    """
    matches = (_TAG_PATTERN.match(symbol) for symbol in symbols)
    return sorted({match.group(1) for match in matches if match})


def row_languages(
    rows: Sequence[Mapping[str, Optional[str]]],
    subset: str,
    known: Sequence[str],
    manifest: str,
    key: str = TARGET,
) -> List[str]:
    """Return the language of each row of a manifest.

    The columns ``tgt_lang`` and ``src_lang`` decide; where the manifest has none (as fairseq's own
    preparation of joint MuST-C data writes it), the subset's name does, of which
    :mod:`fairseq_gist.languages.names` says what it means.

    Args:
        rows: of the manifest, column -> value.
        subset: its name.
        known: the model's languages; empty where any will do.
        manifest: its path, for errors.
        key: one of :data:`LANGUAGE_KEYS`: what a row's language is.

    Raises:
        DataError: when neither tells the language, the name tells two, or it is none of the
            model's.
    """
    languages = []
    in_name: Dict[Tuple[str, str], List[str]] = {}
    for line, row in enumerate(rows, start=2):
        columns = row.get("src_lang") or "", row.get("tgt_lang") or ""
        language = _in_columns(*columns, key)
        if not language:
            if columns not in in_name:
                in_name[columns] = _in_name(*columns, subset, known, key)
            if len(in_name[columns]) != 1:
                raise DataError(
                    f"{manifest}, line {line}: {_untold(in_name[columns], subset, key)}"
                )
            language = in_name[columns][0]
        if known and language not in known:
            raise DataError(f"{manifest}, line {line}: {_unknown(language, known, key)}")
        languages.append(language)
    return languages


def target_languages(
    rows: Sequence[Mapping[str, Optional[str]]], subset: str, languages: Sequence[str], key: str
) -> List[str]:
    """Return what each row's target is written in, :data:`UNKNOWN` where nothing tells it.

    Args:
        rows: of a manifest, column -> value.
        subset: its name.
        languages: what :func:`row_languages` has found.
        key: one of :data:`LANGUAGE_KEYS`.
    """
    if key == TARGET:
        return list(languages)
    in_name: Dict[str, str] = {}
    targets = []
    for row, language in zip(rows, languages):
        source = row.get("src_lang") or (language if key == SOURCE else "")
        if source not in in_name:
            found = _in_name(source, "", subset, (), TARGET)
            pairs = [each for each in readings(language) if len(each) == 2] if key == PAIR else []
            found = found if len(found) == 1 else [target for _, target in pairs]
            in_name[source] = found[0] if len(found) == 1 else UNKNOWN
        targets.append(row.get("tgt_lang") or in_name[source])
    return targets


def language_tags(
    languages: Sequence[str], symbols: Iterable[str], key: str = TARGET
) -> List[Optional[str]]:
    """Return the tag that stands in front of a target in each language, None where none need be.

    Args:
        languages: of the model.
        symbols: of the vocabulary.
        key: one of :data:`LANGUAGE_KEYS`; a source language has no tag, a pair that of its target.
    """
    tagged = languages_of_vocabulary(symbols)
    targets: List[Optional[str]] = []
    for language in languages:
        ends = [one for one in tagged if language.endswith(f"-{one}")] if key == PAIR else []
        if key == TARGET and language in tagged:
            ends = [language]
        targets.append(LANGUAGE_TAG.format(max(ends, key=len)) if ends else None)
    return targets


def _in_columns(source: str, target: str, key: str) -> str:
    if key == PAIR:
        return f"{source}-{target}" if source and target else ""
    return target if key == TARGET else source


def _in_name(source: str, target: str, subset: str, known: Sequence[str], key: str) -> List[str]:
    """Return the languages that a name may mean: those of the model, if any are."""
    ways = [
        _with_columns(named, source, target, key)
        for named in named_languages(subset)
        # a name that speaks of something else than the columns says nothing
        if not (_differ(named.source, source) or _differ(named.target, target))
    ]
    found = list(dict.fromkeys(filter(None, (_in_columns(*each, key) for each in ways))))
    if not set(found) & set(known):  # a vocabulary may have tags of pairs
        pairs = [_in_columns(*each, PAIR) for each in ways]
        found = [pair for pair in pairs if pair in known] or found
    return [one for one in found if one in known] or found


def _with_columns(named: Named, source: str, target: str, key: str) -> Tuple[str, str]:
    """Return source and target by a name and, where the manifest has one of them, by its column.

    A language alone is what the column of the other isn't; without columns it is that which is
    asked for, unless fairseq's scripts mean the target by it.
    """
    if named.one is None:
        return source or named.source or "", target or named.target or ""
    if source or target:
        other = named.one if _differ(named.one, source or target) else ""
        return source or other, target or other
    if key == TARGET or named.is_target:
        return "", named.one
    return named.one, ""


def _differ(one: Optional[str], other: str) -> bool:
    return bool(one and other) and base_code(one or "") != base_code(other)


def _untold(found: Sequence[str], subset: str, key: str) -> str:
    if len(found) > 1:
        return (
            f"the subset's name '{subset}' may say {' or '.join(map(repr, found))} (--language-key "
            f"{key}); name the right one among --languages, or add the columns 'src_lang' and "
            "'tgt_lang'"
        )
    if key == PAIR:
        return (
            f"the pair of languages is in no columns 'src_lang' and 'tgt_lang', and the subset's "
            f"name '{subset}' does not end in one (as 'train_de-en' does); add the columns or "
            "rename the subset"
        )
    what, column = ("target", "tgt_lang") if key == TARGET else ("source", "src_lang")
    name = f"the subset's name '{subset}' does not end in one (as 'train_de_st' does)"
    if key == SOURCE and named_languages(subset):
        says = "the target language" if named_languages(subset)[0].one else "other ones"
        name = f"the subset's name '{subset}' says {says}"
    return (
        f"the {what} language is in no column '{column}', and {name}; add the column or rename "
        "the subset"
    )


def _unknown(language: str, known: Sequence[str], key: str) -> str:
    if key == TARGET:
        return (
            f"language '{language}' has no tag '{LANGUAGE_TAG.format(language)}' in the "
            f"vocabulary, which has {', '.join(known)}; prepare the data with this language, or "
            "correct the column"
        )
    return (
        f"language '{language}' (--language-key {key}) is none of the model's {', '.join(known)}; "
        "name it among --languages, or correct the column"
    )
