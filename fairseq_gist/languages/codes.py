"""Codes of languages: which of them mean the same."""

from __future__ import annotations

from typing import Mapping

__all__ = ["base_code"]

_THREE_LETTERS: Mapping[str, str] = {
    "afr": "af", "ara": "ar", "aze": "az", "bel": "be", "ben": "bn", "bul": "bg", "cat": "ca",
    "ces": "cs", "cym": "cy", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "est": "et",
    "eus": "eu", "fas": "fa", "fin": "fi", "fra": "fr", "gle": "ga", "glg": "gl", "guj": "gu",
    "hau": "ha", "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "hye": "hy", "ibo": "ig",
    "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kan": "kn", "kat": "ka", "kaz": "kk",
    "khm": "km", "kor": "ko", "lav": "lv", "lit": "lt", "mal": "ml", "mar": "mr", "mkd": "mk",
    "mlt": "mt", "mon": "mn", "msa": "ms", "mya": "my", "nep": "ne", "nld": "nl", "nor": "no",
    "pan": "pa", "pes": "fa", "pol": "pl", "por": "pt", "pus": "ps", "ron": "ro", "rus": "ru",
    "slk": "sk", "slv": "sl", "som": "so", "spa": "es", "srp": "sr", "swa": "sw", "swe": "sv",
    "swh": "sw", "tam": "ta", "tel": "te", "tgl": "tl", "tha": "th", "tur": "tr", "ukr": "uk",
    "urd": "ur", "uzb": "uz", "vie": "vi", "yor": "yo", "zho": "zh", "zul": "zu",
}  # fmt: skip
"""ISO 639-3 codes of languages that ISO 639-1 has a shorter one for."""


def base_code(code: str) -> str:
    """Return a language's shortest ISO 639 code, without region and script.

    >>> base_code("pt-BR"), base_code("zh_CN"), base_code("deu_Latn"), base_code("ayl")
    ('pt', 'zh', 'de', 'ayl')
    """
    base = code.replace("_", "-").split("-")[0].lower()
    return _THREE_LETTERS.get(base, base)
