"""Two vocabularies, of which one should have grown out of the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, NamedTuple

from fairseq_gist.data.folder import check_vocabulary, read_configuration
from fairseq_gist.errors import DataError
from fairseq_gist.languages.rows import (
    LANGUAGE_TAG,
    TARGET,
    language_tags,
    languages_of_vocabulary,
)
from fairseq_gist.preparing.growing import cuts_otherwise
from fairseq_gist.surgery.one_more import NewRows

__all__ = ["FolderVocabulary", "check_grown", "new_rows", "read_vocabulary"]

_SPECIAL = 4
"""fairseq's own symbols, which come first in each dictionary."""

_ADVICE = (
    "keep it and add what it lacks ('fairseq-gist prepare --vocabulary PREFIX --grow-vocabulary')"
)


class FolderVocabulary(NamedTuple):
    """The vocabulary of a data folder.

    Attributes:
        folder: of the data.
        subwords: what the data configuration says of them.
        symbols: of the dictionary, fairseq's own first.
    """

    folder: Path
    subwords: Mapping[str, Any]
    symbols: List[str]

    @property
    def tagged(self) -> List[str]:
        """The languages that have tags in it."""
        return languages_of_vocabulary(self.symbols)


def read_vocabulary(folder: Path, config_yaml: str) -> FolderVocabulary:
    """Read the vocabulary of a data folder.

    Raises:
        OptionError: when there is no such folder, or no such configuration in it.
        DataError: when it can't be read.
    """
    from fairseq.data import Dictionary

    settings = read_configuration(folder, config_yaml)
    named = settings.get("vocab_filename")
    check_vocabulary(folder, config_yaml, named)
    file = folder / (named or "dict.txt")
    try:
        symbols = list(Dictionary.load(str(file)).symbols)
    except (RuntimeError, ValueError) as error:  # a symbol that is listed twice
        raise DataError(f"{file}: no dictionary that fairseq reads: {error}") from None
    subwords = settings.get("bpe_tokenizer")
    return FolderVocabulary(folder, subwords if isinstance(subwords, dict) else {}, symbols)


def check_grown(before: FolderVocabulary, after: FolderVocabulary) -> None:
    """Check that what could be written with one vocabulary is written alike with the other.

    Raises:
        DataError: when symbols are in other places, or text may be cut otherwise.
    """
    for place, symbol in enumerate(before.symbols):
        found = after.symbols[place] if place < len(after.symbols) else None
        if found != symbol:
            raise DataError(
                f"the vocabulary of {after.folder} is another one than that of {before.folder}: "
                f"symbol {place + 1} is {found!r}, expected {symbol!r}; {_ADVICE}"
            )
    models = [_sentencepiece(one) for one in (before, after)]
    if None not in models:
        why = cuts_otherwise(*models)
        if why is not None:
            raise DataError(
                f"{models[1]} may cut text otherwise than {models[0]}: {why}; {_ADVICE}"
            )
    elif before.subwords != after.subwords:
        raise DataError(
            f"text is cut by {dict(after.subwords)} in {after.folder}, expected "
            f"{dict(before.subwords)} as in {before.folder}"
        )


def _sentencepiece(vocabulary: FolderVocabulary) -> Any:
    """Return the file of the SentencePiece model that cuts text, None where none does."""
    named = vocabulary.subwords.get("sentencepiece_model")
    if vocabulary.subwords.get("bpe") != "sentencepiece" or not isinstance(named, str):
        return None
    path = vocabulary.folder / named  # an absolute one stays what it is
    if not path.is_file():
        raise DataError(f"{vocabulary.folder}: its SentencePiece model {path} doesn't exist")
    return path


def new_rows(
    before: FolderVocabulary,
    after: FolderVocabulary,
    language: str,
    relative: str,
    key: str = TARGET,
) -> NewRows:
    """Return what the rows of a larger vocabulary begin as.

    The tag of ``language`` begins as that of ``relative``, where both have one; other new symbols
    as the mean of all subwords: in a softmax, by Jensen's inequality, n of these together then
    have at most n/m of what the m subwords have.

    Args:
        before: of the model.
        after: that has grown out of it.
        language: that is new.
        relative: one of the model's.
        key: what a language is, one of ``LANGUAGE_KEYS``; the tag of a pair is that of its target.
    """
    place = {symbol: index for index, symbol in enumerate(before.symbols)}
    (tag,) = language_tags([language], after.symbols, key)
    (origin_tag,) = language_tags([relative], before.symbols, key)
    origin = None if origin_tag is None else place[origin_tag]
    tags = {LANGUAGE_TAG.format(one) for one in before.tagged}
    subwords = [i for i, one in enumerate(before.symbols) if i >= _SPECIAL and one not in tags]
    new = after.symbols[len(before.symbols) :]
    return NewRows(len(place), [origin if one == tag else None for one in new], subwords)
