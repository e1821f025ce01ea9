"""Which segments of several spoken languages say the same: those that are translated alike.

The audio of each language is its own, and so are its talks and times: only the words of the one
language that all are translated into tell that two utterances mean the same.
"""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, Mapping, Sequence, Tuple

from fairseq_gist.languages.words import words
from fairseq_gist.preparing.alignment import Aligned, Row

__all__ = ["align_by_translation"]

Key = Tuple[str, ...]


def align_by_translation(languages: Mapping[str, Sequence[Row]]) -> Aligned:
    """Match every segment of the first language with one of each other language.

    A match has the same :func:`~fairseq_gist.languages.words.words` as its translation. Where
    that is said several times, the first of one language goes with the first of another, and so
    on; no segment is in two utterances.
    """
    first, *others = languages
    result = Aligned(tuple(languages), unmatched={language: Counter() for language in languages})
    said = {language: _by_words(languages[language]) for language in others}
    for row in languages[first]:
        result.candidates += 1
        key = words(row.segment.target)
        lacking: Dict[str, str] = {first: row.dropped} if row.dropped else {}
        partners: List[Row] = [row]
        for language in others:
            known = said[language].get(key)
            usable = [other for other in known or () if other.dropped is None]
            if usable:
                partners.append(usable[0])
            elif known:
                lacking[language] = str(known[0].dropped)
            else:
                lacking[language] = "no_segment" if known is None else "repeated"
        for language, why in lacking.items():
            result.unmatched[language][why] += 1
        if len(lacking) == 1:
            result.alone.update(list(lacking))
        if not lacking:
            result.rows.append(tuple(partners))
            for language, partner in zip(others, partners[1:]):
                said[language][key].remove(partner)
    return result


def _by_words(rows: Sequence[Row]) -> Dict[Key, List[Row]]:
    found: Dict[Key, List[Row]] = {}
    for row in rows:
        found.setdefault(words(row.segment.target), []).append(row)
    return found
