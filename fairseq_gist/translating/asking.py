"""What a model has to be told to translate into a language."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence

from fairseq_gist.data.inference import prompt
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.codes import base_code
from fairseq_gist.languages.rows import LANGUAGE_TAG, SOURCE, TARGET, languages_of_vocabulary
from fairseq_gist.translating.search import Wanted

__all__ = ["target_names", "wanted_language"]

_SHOWN = 12
_NORWEGIAN = ("nb", "no")
"""Two codes that are used for one: Bokmål, and the macrolanguage, which is written so mostly."""


def target_names(task: Any) -> List[str]:
    """Return the languages that a task's model translates into, as far as anything says them."""
    if task.language_key == TARGET:
        return list(task.languages)
    return languages_of_vocabulary(task.target_dictionary.symbols)


def wanted_language(task: Any, language: str, source: Optional[str], model: str) -> Wanted:
    """Return a language as the model knows it, by another code for it too (``deu`` for ``de``).

    Args:
        task: of fairseq.
        language: to translate into.
        source: that is spoken; None where nobody said.
        model: its name, for errors.

    Raises:
        OptionError: when the model has no such language, or has to know what is spoken.
    """
    targets = target_names(task)
    target = _known(language, targets, "language", f"{model} translates into") if targets else ""
    index = _index(task, target, source, model)
    if not task.prefix_size:
        return Wanted(language, index, ())
    symbols = _prompt(task, source, target)
    if task.language_key == TARGET and symbols[0] != LANGUAGE_TAG.format(target):
        # into English Whisper is told what is spoken in the place of it. That may be one of the
        # languages only where all are one model: no other is trained so
        tagged = next((one for one in targets if LANGUAGE_TAG.format(one) == symbols[0]), target)
        index = _index(task, tagged, source, model)
    return Wanted(language, index, [task.target_dictionary.index(symbol) for symbol in symbols])


def _prompt(task: Any, source: Optional[str], target: str) -> Sequence[str]:
    spoken = languages_of_vocabulary(task.target_dictionary.symbols)
    # whether it has to be one that has a tag is for the model to say
    known = next(
        (name for name in spoken if source and base_code(name) == base_code(source)), source
    )
    try:
        return prompt(task.inputs, known or "", target)
    except DataError as error:
        raise OptionError(str(error), "source_language") from None


def _index(task: Any, target: str, source: Optional[str], model: str) -> Optional[int]:
    """Return which of the model's languages its rows have; None where it has none."""
    if not task.languages:
        return None
    if task.language_key == TARGET:
        return int(task.languages.index(target))
    if source is None:
        known = _listed(task.languages)
        raise OptionError(
            f"{model} tells apart what is spoken: expected one of {known}", "source_language"
        )
    is_source = task.language_key == SOURCE
    wanted, base = (source, base_code) if is_source else (f"{source}-{target}", _pair)
    known = _known(wanted, task.languages, "source_language", f"{model} hears", base)
    return int(task.languages.index(known))


def _known(
    language: str,
    names: Sequence[str],
    option: str,
    does: str,
    base: Callable[[str], str] = base_code,
) -> str:
    if language in names:
        return language
    alike = [name for name in names if base(name) == base(language)]
    if not alike and base(language) in _NORWEGIAN:
        alike = [name for name in names if base(name) in _NORWEGIAN]
    if len(alike) != 1:
        raise OptionError(f"{does} {_listed(names)}, found '{language}'", option)
    return alike[0]


def _pair(name: str) -> str:
    """Return the shortest codes of a pair of languages."""
    return "-".join(map(base_code, name.split("-", 1)))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
