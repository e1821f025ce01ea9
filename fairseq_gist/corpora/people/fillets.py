"""Fish Fillets: the dialogues of a game, acted in Czech and Dutch, written in eleven languages."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Tuple

from fairseq_gist.corpora.people.deb import read_text
from fairseq_gist.corpora.people.lua import calls
from fairseq_gist.corpora.people.phrases import FILLETS, Phrase, Recording

__all__ = ["SPOKEN", "WRITTEN", "dialogue", "is_wanted", "phrases", "recordings"]

WRITTEN = ("bg", "cs", "de", "en", "es", "fr", "it", "nl", "pl", "ru", "sv")
SPOKEN = ("cs", "nl")

_ROOT = "usr/share/games/fillets-ng"
_SCRIPT = re.compile(
    rf"{_ROOT}/script/(?P<level>.+)/dialogs_(?P<language>{'|'.join(WRITTEN)})\.lua"
)
_SOUND = re.compile(
    rf"{_ROOT}/sound/(?P<name>.+)/(?P<language>{'|'.join(SPOKEN)})/(?P<id>[^/]+)\.ogg"
)
_FONT = "font_"


def is_wanted(path: str) -> bool:
    """Whether a file of a package is a script or speech."""
    return bool(_SCRIPT.fullmatch(path) or _SOUND.fullmatch(path))


def phrases(files: Mapping[str, bytes], where: str) -> List[Phrase]:
    """Return every line of every level, in the languages that it is written in.

    Args:
        files: of the package, by path.
        where: the package's own path, for errors.
    """
    lines: Dict[Tuple[str, str], Dict[str, str]] = {}
    roles: Dict[Tuple[str, str], str] = {}
    for path in sorted(files):
        match = _SCRIPT.fullmatch(path)
        if match is None:
            continue
        script = "\n".join(read_text(files[path], f"{where}, {path}"))
        for name, font, text in dialogue(script, match["language"]):
            key = match["level"], name
            if text.strip():
                lines.setdefault(key, {})[match["language"]] = text
                roles.setdefault(key, font)
    return [
        Phrase(FILLETS, "/".join(key), key[0], lines[key], _role(roles[key]))
        for key in sorted(lines)
    ]


def dialogue(script: str, language: str) -> Iterator[Tuple[str, str, str]]:
    """Go through the lines of a script: name, font, and text in ``language``.

    ``dialogId(name, font, English)`` begins a line, and ``dialogStr(text)`` translates it.
    """
    line: List[str] = []
    for function, arguments in calls(script):
        if function == "dialogId" and len(arguments) == 3:
            if language == "en":
                yield arguments[0], arguments[1], arguments[2]
            else:
                line = arguments
        elif function == "dialogStr" and len(arguments) == 1 and line:
            yield line[0], line[1], arguments[0]
            line = []


def recordings(files: Mapping[str, bytes]) -> List[Recording]:
    """Return the spoken lines; who says them is known of their phrases."""
    found = [(path, _SOUND.fullmatch(path)) for path in sorted(files)]
    return [
        Recording(
            FILLETS, f"{match['name']}/{match['id']}", match["language"], "", path, files[path]
        )
        for path, match in found
        if match is not None
    ]


def _role(font: str) -> str:
    """Return who speaks, by the colour of the text: ``small`` and ``big`` are the two fish."""
    return font[len(_FONT) :] if font.startswith(_FONT) else font or "unknown"
