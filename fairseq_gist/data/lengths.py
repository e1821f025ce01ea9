"""How long the audio of a manifest's rows is, against what ``n_frames`` says of it.

Batches are made by ``n_frames``, so a wrong one fills a device's memory, or leaves it empty.
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.sound.stored import StoredArrays, arrays_in, place_of

__all__ = ["check_lengths", "differs", "heard"]

logger = logging.getLogger(__name__)

FRAMES = 5
SHARE = 0.01
"""By how much a length may differ: some count hundredths of a second, others windows that fit."""

SHORT = 8
"""Frames below which a row's audio is looked at: it may be too short to be heard."""


def differs(said: int, found: int) -> bool:
    """Whether ``n_frames`` is another length than the audio has, beyond ways to count frames."""
    return abs(said - found) > FRAMES + SHARE * found


def check_lengths(
    rows: Sequence[Dict[str, str]],
    paths: Sequence[str],
    manifest: str,
    frames_of: Callable[[int, int], int],
) -> None:
    """Compare ``n_frames`` with the size of features inside zips, of which one header is read.

    What is in files of its own, or is audio, is compared when it is read.

    Args:
        rows: of a manifest.
        paths: of their audio.
        manifest: its path, for errors.
        frames_of: frames of a hundredth of a second that features of (rows, width) are.

    Raises:
        DataError: naming the first row whose features have another length, and how many there are.
    """
    known: Dict[str, Optional[StoredArrays]] = {}
    wrong: List[Tuple[int, int]] = []
    for line, (row, path) in enumerate(zip(rows, paths), start=2):
        place = place_of(path)
        if place is None:
            continue
        if place.file not in known:
            known[place.file] = arrays_in(place)
        arrays = known[place.file]
        length = None if arrays is None else arrays.rows_of(place.length)
        if arrays is None or length is None:
            continue
        found = frames_of(length, arrays.width)
        if differs(int(row["n_frames"]), found):
            wrong.append((line, found))
    if wrong:
        line, found = wrong[0]
        row = rows[line - 2]
        raise DataError(
            f"{manifest}, line {line}: n_frames is {row['n_frames']}, but the features of row "
            f"'{shortened(row['id'])}' have {found} frames; so in {len(wrong)} of {len(rows)} "
            "rows, and batches are made by n_frames"
        )


def heard(
    rows: Sequence[Dict[str, str]],
    paths: Sequence[str],
    manifest: str,
    is_heard: Callable[[str], bool],
) -> List[int]:
    """Return which rows have audio that is long enough for a frame; the others are counted.

    Args:
        rows: of a manifest.
        paths: of their audio.
        manifest: its path, for the log.
        is_heard: of the audio at a path; what it can't read is left for later.
    """
    kept: List[int] = []
    left_out: List[int] = []
    for index, (row, path) in enumerate(zip(rows, paths)):
        long_enough = int(row["n_frames"]) >= SHORT
        if not long_enough:
            try:
                long_enough = is_heard(path)
            except DataError:  # told with its row when it is loaded
                long_enough = True
        (kept if long_enough else left_out).append(index)
    if left_out:
        first = rows[left_out[0]]
        logger.warning(
            f"{manifest}: left out {len(left_out)} of {len(rows)} rows, whose audio is too short "
            f"for a frame; the first is '{shortened(first['id'])}' in line {left_out[0] + 2}"
        )
    if not kept:
        raise DataError(f"{manifest}: the audio of all {len(rows)} rows is too short for a frame")
    return kept
