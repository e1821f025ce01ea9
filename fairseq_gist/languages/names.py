"""What a subset's name says of languages, as fairseq's own scripts and ours write them.

| name | written by | source | target |
|---|---|---|---|
| `train_de_st` | fairseq's MuST-C script, `--joint` | not said | `de` |
| `train_es-en_st` | its mTEDx script, `--joint` | `es` | `en` |
| `train_es-es_asr` | the same | `es` | `es` |
| `train_st_fr_en` | its CoVoST script | `fr` | `en` |
| `train_asr_fr` | the same | `fr` | `fr` |
| `train_de` | `fairseq-gist prepare` | the one of both that there are many of | |
"""

from __future__ import annotations

import functools
import re
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_gist.languages.codes import base_code, is_code, readings

__all__ = ["Named", "named_languages"]

_BOTH = re.compile(r"^.+_st_(?P<source>[^_]+)_(?P<target>[^_]+)$")
_SPOKEN = re.compile(r"^.+_asr_(?P<language>[^_]+)$")
_TASK = re.compile(r"^(?P<rest>.+)_(?P<task>st|asr)$")
_ENDING = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")
_LONGEST = 6
"""Parts between underscores that a pair of codes may have, and more: ``zho_Hant_TW-deu_Latn``."""


class Named(NamedTuple):
    """One way to read a name: source and target, or a language that is one of both."""

    source: Optional[str] = None
    target: Optional[str] = None
    one: Optional[str] = None
    is_target: bool = False
    """Whether fairseq's scripts mean the target by that one."""


@functools.lru_cache(maxsize=None)
def named_languages(subset: str) -> Tuple[Named, ...]:
    """Return the ways to read a subset's name, several where it says two things, or none.

    >>> named_languages("train_st_fr_en")
    (Named(source='fr', target='en', one=None, is_target=False),)
    >>> [named.one for named in named_languages("tst-COMMON_pt")], named_languages("train_st")
    (['pt'], ())
    >>> [(named.one, named.target) for named in named_languages("train_pt-br")]
    [('pt-br', None), (None, 'br')]
    """
    both, spoken = _BOTH.match(subset), _SPOKEN.match(subset)
    if both and is_code(both.group("source")) and is_code(both.group("target")):
        return (Named(both.group("source"), both.group("target")),)
    if spoken and is_code(spoken.group("language")):
        return (Named(spoken.group("language"), spoken.group("language")),)
    suffix = _TASK.match(subset)
    rest, task = (suffix.group("rest"), suffix.group("task")) if suffix else (subset, "")
    return tuple(dict.fromkeys(_in_ending(rest.split("_"), task)))


def _in_ending(parts: Sequence[str], task: str) -> Iterator[Named]:
    taken, found = _ending(parts)
    before = parts[-taken - 1] if taken + 1 < len(parts) else ""
    for reading in found:
        if len(reading) == 2:
            source, target = reading
            if task != "asr":
                yield Named(source, target)
            else:  # what is said is written down; the name's target is in no text
                yield Named(source, source if base_code(source) == base_code(target) else None)
        elif task != "asr":  # MuST-C's name of a language says nothing of its English
            yield Named(one=reading[0], is_target=task == "st")
            if _is_language(before):
                together = f"{before}_{reading[0]}"
                if (together,) in readings(together, "_"):
                    yield Named(one=together, is_target=task == "st")
                yield Named(before, reading[0])


def _ending(parts: Sequence[str]) -> Tuple[int, List[Tuple[str, ...]]]:
    """Return how many parts of a name are codes, and the ways to read them: as one, or as two."""
    for taken in range(min(_LONGEST, len(parts) - 1), 1, -1):
        text = "_".join(parts[-taken:])
        found = [each for each in readings(text) if len(each) == 2 or is_code(text)]
        if found:
            return taken, found
    if len(parts) > 1 and parts[0] and _ENDING.match(parts[-1]):
        return 1, readings(parts[-1])
    return 0, []


def _is_language(part: str) -> bool:
    """Whether a part of a name is a language, and not ``dev`` or ``tst``, which are some too."""
    return is_code(part) and (len(part) == 2 or base_code(part) != part) and part != "st"
