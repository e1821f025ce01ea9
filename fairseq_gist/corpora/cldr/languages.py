"""The languages beside English, and what the libraries call them."""

from __future__ import annotations

from typing import Dict

__all__ = ["ALL", "LANGUAGES", "LOCALES", "MORE", "NUMBERS_OF"]

LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")
"""Those of MuST-C, which a corpus has where none are chosen."""

MORE = ("ca", "cs", "da", "nb", "pl", "sk", "sv", "uk")
"""Near relatives of those, for whoever asks for them."""

ALL = tuple(sorted((*LANGUAGES, *MORE)))

LOCALES: Dict[str, str] = {
    "en": "en",
    **{language: language for language in (*LANGUAGES, *MORE)},
    "pt": "pt_PT",
}
"""The CLDR locale of a language. ``pt`` would be Brazilian, but num2words' ``pt`` is European."""

NUMBERS_OF: Dict[str, str] = {"nb": "no"}
"""num2words' name of a language, where it is another."""
