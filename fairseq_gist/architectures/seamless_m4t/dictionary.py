"""The vocabulary of a SeamlessM4T model as fairseq's dictionary and subword tokenizer."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List

from fairseq.data import Dictionary
from torch import Tensor

from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import LANGUAGE_TAG, languages_of_vocabulary

__all__ = ["SeamlessDictionary", "SeamlessPieces"]

_TAG = re.compile(r"^__(.+)__$")


class SeamlessDictionary(Dictionary):
    """Symbols whose indices are the tokenizer's ids, fairseq's special ones among them.

    The tag of a language, ``__eng__``, goes by the name that it has everywhere in fairseq,
    ``<lang:eng>``; ids that the tokenizer doesn't use have made-up names.

    Args:
        tokenizer: transformers' ``SeamlessM4TTokenizer``.
        size: of the model's vocabulary.
        origin: names the tokenizer in errors.

    Raises:
        OptionError: when the tokenizer has more symbols than the model, or lacks a special one or
            tags of languages.
    """

    def __init__(self, tokenizer: Any, size: int, origin: str) -> None:
        self.origin = origin
        specials = {
            name: getattr(tokenizer, f"{name}_token") for name in ("bos", "pad", "eos", "unk")
        }
        super().__init__(**specials, add_special_symbols=False)
        names = _names(tokenizer)
        if names and max(names) >= size:
            raise OptionError(
                f"{origin} has ids up to {max(names)}, but its model has {size} symbols; are they "
                "of one model?"
            )
        for index in range(size):
            if self.add_symbol(names.get(index, f"madeupword{index}")) != index:
                raise OptionError(f"{origin} has symbol '{names.get(index)}' twice")
        for name, word in specials.items():
            if word not in self.indices:
                raise OptionError(f"{origin} lacks the special symbol '{word}' ({name})")
            setattr(self, f"{name}_index", self.indices[word])
        self.nspecial = len(specials)
        if not languages_of_vocabulary(self.symbols):
            raise OptionError(f"{origin} has no tag of a language, such as '__eng__'")

    def encode_line(
        self, line: str, line_tokenizer: Any = None, *args: Any, **options: Any
    ) -> Tensor:
        """Return the indices of the symbols in ``line``, which single spaces separate."""
        # fairseq's own way takes any white space for a separator, and a symbol may contain some
        tokenize: Callable[[str], List[str]] = line_tokenizer or _symbols
        encoded: Tensor = super().encode_line(line, tokenize, *args, **options)
        return encoded


class SeamlessPieces:
    """The tokenizer as fairseq calls one: from a text to symbols with spaces between, and back."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> str:
        """Return the symbols of ``text``."""
        return " ".join(self._tokenizer.tokenize(text))

    def decode(self, symbols: str) -> str:
        """Return the text of ``symbols``."""
        text: str = self._tokenizer.convert_tokens_to_string(_symbols(symbols))
        return text.strip()


def _symbols(line: str) -> List[str]:
    return [symbol for symbol in line.split(" ") if symbol]


def _names(tokenizer: Any) -> Dict[int, str]:
    """Return fairseq's name of every id of the tokenizer."""
    added = {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
    names: Dict[int, str] = {}
    for symbol, index in tokenizer.get_vocab().items():
        match = _TAG.match(symbol) if symbol in added else None
        names[index] = LANGUAGE_TAG.format(match.group(1)) if match else symbol
    return names
