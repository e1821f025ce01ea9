"""Which language a row of a batch is, and in which order a model keeps its languages."""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Optional, Sequence

from fairseq_gist.errors import DataError

__all__ = ["LANGUAGE_TAG", "language_from_subset", "languages_of_vocabulary", "row_languages"]

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
) -> List[str]:
    """Return the target language of each row of a manifest.

    The column ``tgt_lang`` decides; where the manifest has none (as fairseq's own preparation of
    joint MuST-C data writes it), the subset's name does.

    Raises:
        DataError: when neither tells the language, or the vocabulary has no tag for it.
    """
    from_name = language_from_subset(subset)
    languages = []
    for line, row in enumerate(rows, start=2):
        language = row.get("tgt_lang") or from_name
        if not language:
            raise DataError(
                f"{manifest}, line {line}: the target language is in no column 'tgt_lang', and the "
                f"subset's name '{subset}' does not end in one (as 'train_de_st' does); add the "
                "column or rename the subset"
            )
        if known and language not in known:
            raise DataError(
                f"{manifest}, line {line}: language '{language}' has no tag "
                f"'{LANGUAGE_TAG.format(language)}' in the vocabulary, which has "
                f"{', '.join(known)}; prepare the data with this language, or correct the column"
            )
        languages.append(language)
    return languages
