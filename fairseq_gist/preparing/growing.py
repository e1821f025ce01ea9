"""A SentencePiece vocabulary that grows: what it has stays, and cuts text as before.

A piece that is added has a character that the vocabulary lacked. No text that it could write before
has one, so none is cut otherwise, whatever the new pieces' scores are.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any, Iterable, List, Optional, Sequence, Set, Tuple

from fairseq_gist.files import read_text, replacing
from fairseq_gist.languages.rows import LANGUAGE_TAG
from fairseq_gist.preparing.vocabulary import (
    Vocabulary,
    load_processor,
    processor_of,
    train_model,
)

__all__ = ["cuts_otherwise", "grow_vocabulary"]

_SPACE = "\u2581"
"""What SentencePiece writes for a space."""

_TAG = re.compile(LANGUAGE_TAG.format(".+"))

Piece = Tuple[str, float]
"""Text and score."""


def grow_vocabulary(
    existing: Vocabulary,
    texts: Iterable[str],
    folder: Path,
    size: int,
    kind: str,
    normalization: str,
    languages: Sequence[str],
) -> str:
    """Write ``existing`` with more symbols behind its own into ``folder``; gives the files' stem.

    Args:
        existing: SentencePiece model and dictionary, which stay as they are.
        texts: to learn pieces from, where they have characters that it lacks.
        folder: where the files go.
        size: of the vocabulary that is learned from those; pieces with such characters are taken.
        kind: of that one, as of :func:`train_model`.
        normalization: likewise.
        languages: whose tags the dictionary has then.

    Raises:
        DataError: where no vocabulary of this size can be learned.
    """
    known = _characters(_pieces(load_processor(existing.model)))
    strange = [text for text in texts if set(text) - known - {" "}]
    added: List[Piece] = []
    if strange:
        learned = processor_of(train_model(strange, size, kind, normalization, is_at_most=True))
        added = [(text, score) for text, score in _pieces(learned) if set(text) - known]
    tags = [LANGUAGE_TAG.format(language) for language in languages]
    symbols = existing.symbols()
    new = [text for text, _ in added if text not in symbols]
    new += [tag for tag in tags if tag not in symbols]
    with replacing(folder / existing.model.name) as path:
        # a serialised message goes on in what is appended to it
        path.write_bytes(existing.model.read_bytes() + b"".join(map(_encoded, added)))
    with replacing(folder / existing.dictionary.name) as path:
        before = read_text(existing.dictionary).rstrip("\n")
        path.write_bytes("\n".join([before, *(f"{symbol} 1" for symbol in new), ""]).encode())
    return existing.stem


def cuts_otherwise(before: Path, after: Path) -> Optional[str]:
    """Return why one SentencePiece model may cut text otherwise than another could; None if not.

    Args:
        before: a model.
        after: that should have what ``before`` has, and more behind it.

    Raises:
        DataError: where one is none.
    """
    old, new = (_pieces(load_processor(path)) for path in (before, after))
    for place, piece in enumerate(old):
        if new[place : place + 1] != [piece]:
            found = f"'{new[place][0]}' ({new[place][1]:g})" if place < len(new) else "none"
            return f"piece {place + 1} is {found}, expected '{piece[0]}' ({piece[1]:g})"
    known = _characters(old)
    taken = [text for text, _ in new[len(old) :] if not set(text) - known]
    if taken:
        return f"the new piece '{taken[0]}' has no new character, and takes the place of others"
    return None


def _pieces(processor: Any) -> List[Piece]:
    """Return the pieces that text is cut into."""
    return [
        (processor.id_to_piece(place), processor.get_score(place))
        for place in range(processor.get_piece_size())
        if not (processor.is_control(place) or processor.is_unknown(place))
    ]


def _characters(pieces: Iterable[Piece]) -> Set[str]:
    """Return what pieces can write; tags are kept whole and write nothing."""
    return {_SPACE, *(one for text, _ in pieces if not _TAG.match(text) for one in text)}


def _encoded(piece: Piece) -> bytes:
    """Return a piece as protobuf writes one into a model: ``pieces { piece: ... score: ... }``."""
    text = piece[0].encode()
    own = b"\x0a" + _length(text) + text + b"\x15" + struct.pack("<f", piece[1])
    return b"\x0a" + _length(own) + own


def _length(part: bytes) -> bytes:
    """Return how many bytes there are, as protobuf writes it: seven bits a byte."""
    number, encoded = len(part), bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])
