"""Tux Paint: what its stamps show, said by volunteers in ten languages."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping

from fairseq_gist.corpora.people.deb import read_text
from fairseq_gist.corpora.people.phrases import TUXPAINT, Phrase, Recording, plain_words

__all__ = ["SPOKEN", "is_wanted", "phrases", "recordings"]

SPOKEN = ("be", "bg", "ca", "da", "el", "es", "fr", "nl", "ro", "ru")
"""Those with more than a few files, and Dutch, which has more elsewhere."""

_ROOT = "usr/share/tuxpaint/stamps/"
_TEXT = re.compile(rf"{_ROOT}(?P<name>.+)\.txt")
_SOUND = re.compile(rf"{_ROOT}(?P<name>.+)_desc_(?P<language>{'|'.join(SPOKEN)})\.ogg")
_TRANSLATION = re.compile(rf"\s*(?P<language>{'|'.join(SPOKEN)})\.utf8\s*=(?P<text>.*)")


def is_wanted(path: str) -> bool:
    """Whether a file of the package is a text or speech."""
    return bool(_TEXT.fullmatch(path) or _SOUND.fullmatch(path))


def phrases(files: Mapping[str, bytes], where: str) -> List[Phrase]:
    """Return what every stamp shows: English in the first line, ``fr.utf8=...`` in others.

    Args:
        files: of the package, by path.
        where: the package's own path, for errors.
    """
    found: List[Phrase] = []
    for path in sorted(files):
        match = _TEXT.fullmatch(path)
        if match is None:
            continue
        first, *others = read_text(files[path], f"{where}, {path}")
        texts: Dict[str, str] = {"en": first.strip()} if first.strip() else {}
        for line in others:
            translation = _TRANSLATION.fullmatch(line.strip())
            if translation is not None and translation["text"].strip():
                texts.setdefault(translation["language"], translation["text"].strip())
        group = plain_words(texts.get("en", ""))
        found.append(Phrase(TUXPAINT, match["name"], group, texts))
    return found


def recordings(files: Mapping[str, bytes]) -> List[Recording]:
    """Return what is said of the stamps, by people that nobody names."""
    found = [(path, _SOUND.fullmatch(path)) for path in sorted(files)]
    return [
        Recording(
            TUXPAINT,
            match["name"],
            match["language"],
            f"{TUXPAINT}-{match['language']}",
            path,
            files[path],
        )
        for path, match in found
        if match is not None
    ]
