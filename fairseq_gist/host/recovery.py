"""What a run resumes from where it was ended in the middle of writing its last checkpoint.

fairseq writes one file and copies it to the other names that it gets, ``checkpoint_last.pt`` among
them: a process that is killed meanwhile leaves that one cut off.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Iterator

import torch

from fairseq_gist.errors import CheckpointError

__all__ = ["whole_checkpoint"]

logger = logging.getLogger(__name__)

_LAST = "checkpoint_last"
_ZIP = b"PK\x03\x04"


def whole_checkpoint(filename: str, suffix: str = "", *, tells: bool = True) -> str:
    """Return the checkpoint to resume from: ``filename``, or the newest one where that is cut off.

    Newest is what was written last, of the checkpoints of one training in one folder. What comes of
    it is what would have come had the run ended there.

    Args:
        filename: that the run looks for.
        suffix: at the end of all names of the run's checkpoints.
        tells: whether this process is the one that says so.

    Raises:
        CheckpointError: when there is no other, or ``filename`` was asked for by name.
    """
    path = Path(filename)
    if not path.is_file() or _is_whole(path):
        return filename
    others = sorted(_others(path, suffix), key=lambda one: (one.stat().st_mtime_ns, one.name))
    if not path.name.startswith(_LAST):
        there = f"; {others[-1]} is the newest beside it that is whole" if others else ""
        raise CheckpointError(f"{path} is damaged: it ends in the middle{there}")
    if not others:
        raise CheckpointError(
            f"{path} is damaged: it ends in the middle, as of a run that was killed while it "
            f"was written, and no other checkpoint is in {path.parent}; remove it to begin anew"
        )
    if tells:
        logger.warning(
            f"{path} ends in the middle: a run was ended while it was written. Going on from "
            f"{others[-1]}, the newest checkpoint that is whole"
        )
    return str(others[-1])


def _others(path: Path, suffix: str) -> Iterator[Path]:
    for other in path.parent.glob(f"checkpoint*{suffix}.pt"):
        if other != path and other.is_file() and _is_whole(other):
            yield other


def _is_whole(path: Path) -> bool:
    """Return whether a file is as long as it says: an archive's list of contents is its end."""
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start and not _ZIP.startswith(start):  # as torch saved before 1.6: it says nothing
        return True
    try:
        torch._C.PyTorchFileReader(str(path))  # noqa: SLF001
    except RuntimeError:
        return False
    return True
