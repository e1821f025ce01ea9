"""The vocabulary of a tokenizer of transformers as fairseq's dictionary."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Pattern

from fairseq.data import Dictionary
from torch import Tensor

from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG, languages_of_vocabulary

__all__ = ["TokenizerDictionary", "symbols_of"]


class TokenizerDictionary(Dictionary):
    """Symbols whose indices are the tokenizer's ids, fairseq's special ones among them.

    The tag of a language goes by the name that it has everywhere in fairseq, ``<lang:eng>``; ids
    that the tokenizer doesn't use, or uses for nothing, have made-up names.

    Args:
        tokenizer: of transformers.
        size: of the model's vocabulary.
        origin: names the tokenizer in errors.
        specials: fairseq's special symbols, ``bos``, ``pad``, ``eos`` and ``unk`` -> the
            tokenizer's.
        tag: what a tag of a language looks like in the tokenizer, the language its first group.
        example: of a tag.
        named_by: how the tokenizer names languages, for errors.

    Raises:
        OptionError: when the tokenizer has more symbols than the model, or lacks a special one or
            tags of languages.
    """

    def __init__(
        self,
        tokenizer: Any,
        size: int,
        origin: str,
        specials: Mapping[str, str],
        tag: Pattern[str],
        example: str,
        named_by: str,
    ) -> None:
        self.origin, self.named_by = origin, named_by
        super().__init__(**specials, add_special_symbols=False)
        names = _names(tokenizer, tag)
        if names and max(names) >= size:
            raise OptionError(
                f"{origin} has ids up to {max(names)}, but its model has {size} symbols; are they "
                "of one model?"
            )
        for index in range(size):
            if self.add_symbol(names.get(index) or f"madeupword{index}") != index:
                raise OptionError(f"{origin} has symbol '{names.get(index)}' twice")
        for name, word in specials.items():
            if word not in self.indices:
                raise OptionError(f"{origin} lacks the special symbol '{word}' ({name})")
            setattr(self, f"{name}_index", self.indices[word])
        self.nspecial = len(specials)
        if not languages_of_vocabulary(self.symbols):
            raise OptionError(f"{origin} has no tag of a language, such as '{example}'")

    def encode_line(
        self, line: str, line_tokenizer: Any = None, *args: Any, **options: Any
    ) -> Tensor:
        """Return the indices of the symbols in ``line``, which single spaces separate."""
        # fairseq's own way takes any white space for a separator, and a symbol may contain some
        tokenize: Callable[[str], List[str]] = line_tokenizer or symbols_of
        encoded: Tensor = super().encode_line(line, tokenize, *args, **options)
        return encoded


def symbols_of(line: str) -> List[str]:
    """Return the symbols of a line, which single spaces separate."""
    return [symbol for symbol in line.split(" ") if symbol]


def _names(tokenizer: Any, tag: Pattern[str]) -> Dict[int, str]:
    """Return fairseq's name of every id of the tokenizer."""
    added = {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
    names: Dict[int, str] = {}
    for symbol, index in tokenizer.get_vocab().items():
        match = tag.match(symbol) if symbol in added else None
        names[index] = LANGUAGE_TAG.format(match.group(1)) if match else symbol
    return names
