"""The vocabulary of a SeamlessM4T model as fairseq's dictionary and subword tokenizer."""

from __future__ import annotations

import re
from typing import Any

from fairseq_gist.architectures.pretrained.dictionary import TokenizerDictionary, symbols_of

__all__ = ["SeamlessDictionary", "SeamlessPieces"]

_TAG = re.compile(r"^__(.+)__$")


class SeamlessDictionary(TokenizerDictionary):
    """Symbols whose indices are the tokenizer's ids; the tag ``__eng__`` is ``<lang:eng>``.

    Args:
        tokenizer: transformers' ``SeamlessM4TTokenizer``.
        size: of the model's vocabulary.
        origin: names the tokenizer in errors.

    Raises:
        OptionError: see :class:`TokenizerDictionary`.
    """

    def __init__(self, tokenizer: Any, size: int, origin: str) -> None:
        specials = {
            name: getattr(tokenizer, f"{name}_token") for name in ("bos", "pad", "eos", "unk")
        }
        super().__init__(
            tokenizer, size, origin, specials, _TAG, "__eng__", named_by="by three letters"
        )


class SeamlessPieces:
    """The tokenizer as fairseq calls one: from a text to symbols with spaces between, and back."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> str:
        """Return the symbols of ``text``."""
        return " ".join(self._tokenizer.tokenize(text))

    def decode(self, symbols: str) -> str:
        """Return the text of ``symbols``."""
        text: str = self._tokenizer.convert_tokens_to_string(symbols_of(symbols))
        return text.strip()
