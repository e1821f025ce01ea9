"""The vocabulary of a Whisper model as fairseq's dictionary and subword tokenizer."""

from __future__ import annotations

import re
from typing import Any, List

from fairseq_gist.architectures.pretrained.dictionary import TokenizerDictionary, symbols_of
from fairseq_gist.errors import OptionError

__all__ = [
    "NO_TIMESTAMPS",
    "PROMPT_SIZE",
    "START",
    "TRANSCRIBE",
    "TRANSLATE",
    "WhisperDictionary",
    "WhisperPieces",
]

START = "<|startoftranscript|>"
TRANSLATE, TRANSCRIBE = "<|translate|>", "<|transcribe|>"
NO_TIMESTAMPS = "<|notimestamps|>"
PROMPT_SIZE = 3
"""Symbols of a prompt behind its start: language, task and no timestamps."""

_END = "<|endoftext|>"
_TAG = re.compile(r"^<\|([a-z]{2,3})\|>$")


class WhisperDictionary(TokenizerDictionary):
    """Symbols whose indices are the tokenizer's ids; the tag ``<|de|>`` is ``<lang:de>``.

    Whisper pads with the end of the text, which fairseq tells apart: padding is a symbol here that
    Whisper has and never hears, says or is asked with, and so is what fairseq takes for unknown,
    as nothing is unknown to a tokenizer of bytes.

    Attributes:
        unspoken: symbols beside tags that are no text: tasks, timestamps and the like.

    Args:
        tokenizer: transformers' ``WhisperTokenizer``.
        size: of the model's vocabulary.
        origin: names the tokenizer in errors.

    Raises:
        OptionError: see :class:`TokenizerDictionary`.
    """

    def __init__(self, tokenizer: Any, size: int, origin: str) -> None:
        specials = {
            "bos": START,
            "pad": "<|startoflm|>",
            "eos": _END,
            "unk": "<|startofprev|>",
        }
        super().__init__(
            tokenizer, size, origin, specials, _TAG, "<|de|>", named_by="by two letters as a rule"
        )
        for symbol in (TRANSLATE, TRANSCRIBE, NO_TIMESTAMPS):
            if symbol not in self.indices:
                raise OptionError(f"{origin} lacks '{symbol}', with which Whisper is asked")
        added = {*map(str, tokenizer.all_special_tokens), *tokenizer.get_added_vocab()}
        self.unspoken: List[str] = sorted(symbol for symbol in added if symbol in self.indices)


class WhisperPieces:
    """The tokenizer as fairseq calls one: from a text to symbols with spaces between, and back.

    A text begins with a space, as in all that Whisper was trained on.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> str:
        """Return the symbols of ``text``."""
        return " ".join(self._tokenizer.tokenize(f" {text}", split_special_tokens=True))

    def decode(self, symbols: str) -> str:
        """Return the text of ``symbols``."""
        text: str = self._tokenizer.convert_tokens_to_string(symbols_of(symbols))
        return text.strip()
