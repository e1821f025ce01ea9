"""The languages of a model: from an option, its checkpoint, the vocabulary or the training data.

Target languages have tags in the vocabulary, which every command has at hand. Source languages and
pairs are nowhere but in the training data, so a checkpoint keeps them among its settings, and
whatever loads it takes them from there.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, Callable, List, Optional, Sequence

from omegaconf import OmegaConf, open_dict

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.languages.rows import (
    LANGUAGE_KEYS,
    LANGUAGE_TAG,
    SOURCE,
    TARGET,
    language_tags,
    languages_of_vocabulary,
)

__all__ = ["VOCABULARY", "ModelLanguages", "signature_of"]

VOCABULARY = "gist_vocabulary"
"""What the settings of a model have the signature of its vocabulary under."""


def signature_of(symbols: Sequence[str]) -> str:
    """Return a digest of a vocabulary, in its order: size alone tells two of them apart badly."""
    return hashlib.sha256("\n".join(symbols).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class ModelLanguages:
    """What a row's language is, and which there are.

    Args:
        key: the option ``--language-key``, None where it was not given.
        option: the option ``--languages``, likewise.
        symbols: of the vocabulary.
        in_training: returns the languages of the training data, given the key; it is asked only
            where nothing else tells, and may find none.
        has_tags_of_others: whether the vocabulary, that of a model with far more languages, doesn't
            tell which are trained.
        data: the folder that the vocabulary is in, for errors.

    Raises:
        OptionError: for an unknown key.
    """

    def __init__(
        self,
        key: Optional[str],
        option: Optional[str],
        symbols: Sequence[str],
        in_training: Callable[[str], List[str]],
        has_tags_of_others: bool = False,
        data: str = "the data",
    ) -> None:
        if key not in (None, *LANGUAGE_KEYS):
            raise OptionError(
                f"--language-key: expected one of {', '.join(LANGUAGE_KEYS)}, found '{key}'"
            )
        self.symbols, self._in_training, self._data = list(symbols), in_training, data
        self._has_tags_of_others = has_tags_of_others
        self._given_key = self._key = key
        self._fixed = _listed(option)
        """What an option or a checkpoint says."""
        self._found: Optional[List[str]] = None

    @property
    def key(self) -> str:
        """One of :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`."""
        return self._key or TARGET

    @property
    def names(self) -> List[str]:
        """The languages, in alphabetical order.

        Raises:
            OptionError: where a source language or a pair is wanted and nothing tells them.
        """
        if self._fixed is not None:
            return self._fixed
        if self._found is None:
            tagged = self._in_vocabulary
            found = languages_of_vocabulary(self.symbols) if tagged else self._in_training(self.key)
            if not found and not tagged:
                raise OptionError(
                    f"--language-key {self.key}: there are no training data that say the model's "
                    "languages; name them, such as --languages de,ru"
                )
            self._found = found
        return self._found

    @property
    def _in_vocabulary(self) -> bool:
        """Whether the vocabulary tells the languages."""
        return self.key == TARGET and not self._has_tags_of_others

    def adopt(self, settings: Any, plan_languages: Sequence[str] = ()) -> None:
        """Take what the settings of a checkpoint's model say, where no option said otherwise.

        Args:
            settings: with ``language_key`` and ``languages``, as :meth:`note_in` puts them there.
            plan_languages: those of the checkpoint's sharing plan, if it has one.

        Raises:
            OptionError: when an option, or a checkpoint before, says otherwise.
            DataError: when the vocabulary is not the one that the model was trained with.
        """
        if getattr(settings, VOCABULARY, None) not in (None, signature_of(self.symbols)):
            raise DataError(
                f"{self._data}: its vocabulary of {len(self.symbols)} symbols is not the one that "
                "the model was trained with; name the folder of the data that it was trained on"
            )
        key = getattr(settings, "language_key", None)
        if key in (None, TARGET) and self._given_key in (None, TARGET):
            if self._in_vocabulary:
                self._adopt_some(settings)
                return
            key = TARGET
        elif key is None:  # of stock fairseq: the option says what it is
            key = self._given_key
        if self._key is not None and self._key != key:
            raise OptionError(
                f"--language-key: the checkpoint's model has key '{key}', found '{self._key}'"
            )
        languages = _listed(getattr(settings, "languages", None)) or sorted(plan_languages)
        self._check_option(languages)
        self._key, self._fixed, self._found = key, languages or self._fixed, None

    def _adopt_some(self, settings: Any) -> None:
        """Take the languages of a model that has not all for which the vocabulary has tags."""
        some = _listed(getattr(settings, "languages", None)) or []
        if some and set(some) <= set(languages_of_vocabulary(self.symbols)):
            self._check_option(some)
            self._fixed = some

    def _check_option(self, languages: Sequence[str]) -> None:
        if languages and self._fixed not in (None, languages):
            raise OptionError(
                f"--languages: the checkpoint's model has {', '.join(languages)}, found "
                f"{', '.join(self._fixed or ())}"
            )

    def note_in(self, settings: Any) -> None:
        """Have the settings of a model that is to be trained say its languages and vocabulary."""
        noted = {VOCABULARY: signature_of(self.symbols)}
        if not self._in_vocabulary:
            noted.update(language_key=self.key, languages=",".join(self.names))
        elif self._fixed is not None:
            noted.update(languages=",".join(self.names))
        with open_dict(settings) if OmegaConf.is_config(settings) else contextlib.nullcontext():
            for name, value in noted.items():
                setattr(settings, name, value)

    def tags(self) -> List[Optional[str]]:
        """Return the tag in front of a target in each language; see :func:`language_tags`."""
        return language_tags(self.names, self.symbols, self.key)

    def check_tags(self) -> None:
        """Raise OptionError for a language of ``--languages`` without a tag in the vocabulary."""
        if self.key != TARGET:
            return
        tagged = languages_of_vocabulary(self.symbols)
        # rows of the training data are checked one by one when they are read
        names = self._fixed or [] if self._has_tags_of_others else self.names
        unknown = [one for one in names if one not in tagged]
        if unknown:
            raise OptionError(
                f"--languages: '{unknown[0]}' has no tag '{LANGUAGE_TAG.format(unknown[0])}' in "
                f"the vocabulary, which has {', '.join(tagged)}"
            )

    def asked_for(self, source: Optional[str], target: Optional[str]) -> str:
        """Return the language that ``--source-language`` and ``--target-language`` name.

        Raises:
            OptionError: when that is none of the model's.
        """
        if self.key == TARGET:
            option, language = "--target-language", target
        elif self.key == SOURCE:
            option, language = "--source-language", source
        else:
            option = "--source-language and --target-language"
            language = f"{source}-{target}" if source and target else None
        if language is None or language not in self.names:
            found = "none was given" if language is None else f"found '{language}'"
            raise OptionError(f"{option}: expected one of {', '.join(self.names)}, {found}")
        return language

    def target_of(self, language: str, target: Optional[str]) -> str:
        """Return the language whose tag begins a translation, where targets begin with tags.

        Args:
            language: one of the model's.
            target: the option ``--target-language``.

        Raises:
            OptionError: when it can't be told.
        """
        tagged = languages_of_vocabulary(self.symbols)
        tag = self.tags()[self.names.index(language)]
        own = [one for one in tagged if LANGUAGE_TAG.format(one) == tag]
        if own:
            return own[0]
        if target is None and len(tagged) == 1:
            target = tagged[0]
        if target not in tagged:
            found = "none was given" if target is None else f"found '{target}'"
            raise OptionError(
                f"--target-language: expected one with a tag in the vocabulary, "
                f"{', '.join(tagged)}, {found}"
            )
        return target


def _listed(option: Optional[str]) -> Optional[List[str]]:
    return sorted(set(option.replace(",", " ").split())) if option else None
