"""Who speaks: for every language voices of training, and one each that only dev and test hear.

eSpeak NG has one voice for most languages, which its variants make several speakers of: another
pitch, formants and breath.
"""

from __future__ import annotations

from typing import Dict, Tuple

from fairseq_gist.corpora.cldr.languages import ALL
from fairseq_gist.errors import DataError

__all__ = ["DEV", "TEST", "TRAIN", "voice_of"]

TRAIN = ("", "f2", "m5", "m3", "f3", "m1", "m7", "f5", "f1", "m4", "m6", "m8")
"""Variants that say the phrases of training, in the order in which a corpus takes them."""

DEV, TEST = "f4", "m2"

_ACCENTS: Dict[Tuple[str, str], str] = {
    ("es", "m3"): "es-419",
    ("es", "f1"): "es-419",
    ("fr", "f3"): "fr-be",
    ("fr", "m4"): "fr-ch",
    ("fr", "m6"): "fr-be",
}
"""Where another voice of the language speaks; Brazilian doesn't: the phrases are European."""


def voice_of(language: str, variant: str) -> str:
    """The name that eSpeak NG knows a language's voice by, with its variant."""
    if language not in ALL:
        raise DataError(f"no voice for '{language}'; there are {', '.join(ALL)}")
    base = _ACCENTS.get((language, variant), language)
    return f"{base}+{variant}" if variant else base
