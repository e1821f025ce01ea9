"""Texts that a command writes and a person may go on writing: known as long as they are as written.

The first line of such a text is ``---``, as of Markdown with settings in front; the second says who
wrote it, and has the hash of what follows.
"""

from __future__ import annotations

import hashlib
from typing import Optional

__all__ = ["is_as_written", "signed"]

_MARK = (
    "---\n# written by fairseq-gist export, which writes over it only while nobody has changed it: "
)


def signed(text: str) -> str:
    """Return a text, which begins with a line ``---``, with its hash in the second line."""
    _, _, rest = text.partition("---\n")
    return f"{_MARK}{_hash(rest.encode('utf-8'))}\n{rest}"


def is_as_written(content: bytes) -> Optional[bool]:
    """Return whether a file is a signed text as it was written; None where it is none at all."""
    mark = _MARK.encode("utf-8")
    if not content.startswith(mark):
        return None
    found, _, rest = content[len(mark) :].partition(b"\n")
    return found.decode("ascii", "replace") == _hash(rest)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
