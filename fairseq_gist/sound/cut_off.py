"""Whether a WAV file has all the sound that its header promises.

libsndfile takes what is there for all: a file that was cut off while it was copied reads as a
shorter recording.
"""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["share_there"]

_UNKNOWN = 0x7FFF0000
"""From this size on it says nothing: who writes to a pipe can't know how long it will become."""
_CHUNKS = 1000


def share_there(path: Path) -> float:
    """Return which part of its sound a file has, from 0 to 1; 1 for what is no WAV file."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        kind, _, form = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if (kind, form) != (b"RIFF", b"WAVE"):
            return 1.0
        for _ in range(_CHUNKS):
            name, length = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
            if name == b"data":
                there = max(size - file.tell(), 0)
                return there / length if there < length < _UNKNOWN else 1.0
            file.seek(length + length % 2, 1)
            if file.tell() >= size:
                break
    return 1.0
