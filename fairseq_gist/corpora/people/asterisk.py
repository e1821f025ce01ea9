"""Asterisk: the prompts of a telephone exchange, one speaker a language."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import Dict, List, Mapping

from fairseq_gist.corpora.people.deb import read_text
from fairseq_gist.corpora.people.phrases import ASTERISK, Phrase, Recording, plain_words
from fairseq_gist.errors import DataError

__all__ = ["SPOKEN", "is_wanted", "phrases", "prompts", "recordings"]

SPOKEN = ("es", "fr", "it", "ru")

_LIST = re.compile(r"usr/share/doc/asterisk-core-sounds-[a-z]+/core-sounds-[a-z]+\.txt(\.gz)?")
_PROMPT = re.compile(r"(?P<name>[\w./-]+):(?P<text>.*)")
_SOUND = re.compile(r"usr/share/asterisk/sounds/(?P<speaker>[^/]+)/(?P<name>.+)\.g722")


def is_wanted(path: str) -> bool:
    """Whether a file of a package is its list of prompts, or speech."""
    return bool(_LIST.fullmatch(path) or _SOUND.fullmatch(path))


def prompts(files: Mapping[str, bytes], where: str) -> Dict[str, str]:
    """Return the text of every prompt by its name; lines with a semicolon before are remarks.

    Args:
        files: of the package, by path.
        where: the package's own path, for errors.

    Raises:
        DataError: where the package has no list of prompts, or a damaged one.
    """
    lists = sorted(path for path in files if _LIST.fullmatch(path))
    if not lists:
        raise DataError(f"{where}: expected a list of prompts in it, core-sounds-XX.txt.gz")
    data = files[lists[0]]
    if lists[0].endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{where}, {lists[0]}: a damaged gzip file ({error})") from error
    lines = [line.strip() for line in read_text(data, f"{where}, {lists[0]}")]
    matches = [_PROMPT.fullmatch(line) for line in lines]
    return {match["name"]: match["text"].strip() for match in matches if match}


def phrases(texts: Mapping[str, Mapping[str, str]]) -> List[Phrase]:
    """Return the prompts of all languages, from those of each."""
    found: List[Phrase] = []
    for name in sorted({name for prompts in texts.values() for name in prompts}):
        said = {language: prompts.get(name, "") for language, prompts in texts.items()}
        said = {language: text for language, text in said.items() if text}
        found.append(Phrase(ASTERISK, name, plain_words(said.get("en", "")), said))
    return found


def recordings(files: Mapping[str, bytes], language: str) -> List[Recording]:
    """Return the spoken prompts; their folder is called after who says them."""
    found = [(path, _SOUND.fullmatch(path)) for path in sorted(files)]
    return [
        Recording(
            ASTERISK,
            match["name"],
            language,
            f"{ASTERISK}-{match['speaker']}",
            path,
            files[path],
        )
        for path, match in found
        if match is not None
    ]
