"""Which language a row of a batch is, and in which order a model keeps its languages."""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Optional, Sequence

from fairseq_gist.errors import DataError

__all__ = [
    "LANGUAGE_KEYS",
    "LANGUAGE_TAG",
    "PAIR",
    "SOURCE",
    "TARGET",
    "language_from_subset",
    "language_tags",
    "languages_of_vocabulary",
    "row_languages",
]

LANGUAGE_KEYS = TARGET, SOURCE, PAIR = ("tgt", "src", "pair")
"""What the language of a row can be: that of the target, of the source, or both (``de-en``)."""

LANGUAGE_TAG = "<lang:{}>"
_TAG_PATTERN = re.compile(r"^<lang:(.+)>$")
_SUBSET_PATTERN = re.compile(
    r"^.+?_(?!(?:st|asr)$)(?P<language>[a-z]{2,3}(?:-[A-Za-z0-9]+)*)(?:_st)?$"
)
"""A last part ``st`` or ``asr`` is fairseq's name of a task, not a language."""


def languages_of_vocabulary(symbols: Iterable[str]) -> List[str]:
    """Return the languages that have a tag among ``symbols``, in alphabetical order.

    The order is that of the names, not of the vocabulary, so that a plan made with one vocabulary
    means the same with another.
    """
    matches = (_TAG_PATTERN.match(symbol) for symbol in symbols)
    return sorted({match.group(1) for match in matches if match})


def language_from_subset(subset: str) -> Optional[str]:
    """Return the language a subset's name tells, or None.

    >>> language_from_subset("train_de_st"), language_from_subset("tst-COMMON_pt")
    ('de', 'pt')
    >>> language_from_subset("train") is None, language_from_subset("train_st") is None
    (True, True)
    """
    match = _SUBSET_PATTERN.match(subset)
    return match.group("language") if match else None


def row_languages(
    rows: Sequence[Mapping[str, Optional[str]]],
    subset: str,
    known: Sequence[str],
    manifest: str,
    key: str = TARGET,
) -> List[str]:
    """Return the language of each row of a manifest.

    The columns ``tgt_lang`` and ``src_lang`` decide; where the manifest has none (as fairseq's own
    preparation of joint MuST-C data writes it), the subset's name does.

    Args:
        rows: of the manifest, column -> value.
        subset: its name.
        known: the model's languages; empty where any will do.
        manifest: its path, for errors.
        key: one of :data:`LANGUAGE_KEYS`: what a row's language is.

    Raises:
        DataError: when neither tells the language, or it is none of the model's.
    """
    languages = []
    for line, row in enumerate(rows, start=2):
        language = _language(row, subset, key)
        if not language:
            raise DataError(f"{manifest}, line {line}: {_untold(row, subset, key)}")
        if known and language not in known:
            raise DataError(f"{manifest}, line {line}: {_unknown(language, known, key)}")
        languages.append(language)
    return languages


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


def _language(row: Mapping[str, Optional[str]], subset: str, key: str) -> Optional[str]:
    source, target = row.get("src_lang"), row.get("tgt_lang")
    from_name = language_from_subset(subset)
    if key == TARGET:
        return target or from_name
    if key == SOURCE:
        # a name that says the target says nothing of the source
        return source or (from_name if from_name != target else None)
    if source and target:
        return f"{source}-{target}"
    return from_name if from_name and "-" in from_name else None


def _untold(row: Mapping[str, Optional[str]], subset: str, key: str) -> str:
    if key == PAIR:
        return (
            f"the pair of languages is in no columns 'src_lang' and 'tgt_lang', and the subset's "
            f"name '{subset}' does not end in one (as 'train_de-en' does); add the columns or "
            "rename the subset"
        )
    what, column = ("target", "tgt_lang") if key == TARGET else ("source", "src_lang")
    name = f"the subset's name '{subset}' does not end in one (as 'train_de_st' does)"
    if key == SOURCE and language_from_subset(subset):
        name = f"the subset's name '{subset}' says the target language"
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
