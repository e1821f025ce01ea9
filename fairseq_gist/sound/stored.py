"""Audio and features where manifests name them: in a file, or inside a zip without compression."""

from __future__ import annotations

import io
from typing import Any, List, NamedTuple, Optional, Tuple

import numpy as np
from fairseq.data.audio.audio_utils import is_npy_data, parse_path, read_from_stored_zip

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import SAMPLE_RATE, check_samples, mono, resample
from fairseq_gist.sound.filterbank import filterbank, frames_of
from fairseq_gist.sound.in_memory import decoded

__all__ = [
    "Place",
    "StoredArrays",
    "arrays_in",
    "filterbanks_at",
    "is_heard",
    "place_of",
    "read_stored",
]


def filterbanks_at(path: str) -> np.ndarray:
    """Return the features at ``path``, `[frames, bins]`, of audio as ``prepare`` makes them.

    Args:
        path: of a wav, flac, ogg or npy file, or ``zip:offset:length`` of one inside a zip. Audio
            may have any rate and number of channels.

    Raises:
        DataError: when it can't be read, or is too short for a frame.
    """
    content, rate = read_stored(path)
    if rate is None:
        return content
    check_samples(content, rate, path)
    found = filterbank(resample(mono(content), rate).astype(np.float32))
    if not len(found):
        raise DataError(f"{path}: {len(content) / rate:.3f} s of sound are too short for a frame")
    return found


def read_stored(path: str) -> Tuple[np.ndarray, Optional[int]]:
    """Return samples, `[samples]` or `[samples, channels]`, and their rate in Hz, or features.

    Features have no rate: None.

    Raises:
        DataError: when there is neither.
    """
    try:
        file, place = parse_path(path)
        data: Any = file if not place else read_from_stored_zip(file, *place)
        if _is_array(data, place):
            return np.load(data if not place else io.BytesIO(data)), None
        if place:
            return decoded(data, "float32")
        import soundfile

        samples, rate = soundfile.read(data, dtype="float32")
        return samples, int(rate)
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        raise DataError(f"{path}: neither readable audio nor features ({error})") from error


def _is_array(data: Any, place: List[int]) -> bool:
    return is_npy_data(data) if place else str(data).endswith(".npy")


class Place(NamedTuple):
    """Where something is inside a zip without compression, in bytes."""

    file: str
    offset: int
    length: int


class StoredArrays(NamedTuple):
    """What the arrays of a zip have in common."""

    header: int
    width: int
    item: int

    def rows_of(self, length: int) -> Optional[int]:
        """Return the rows of an array of ``length`` bytes; None where it has another form."""
        rows, rest = divmod(length - self.header, self.width * self.item)
        return None if rest or rows < 0 else rows


def place_of(path: str) -> Optional[Place]:
    """Return the place that ``zip:offset:length`` says; None for a file of its own."""
    file, _, numbers = path.partition(".zip:")
    offset, colon, length = numbers.partition(":")
    if not colon or not (offset.isdecimal() and length.isdecimal()):
        return None
    return Place(f"{file}.zip", int(offset[:18]), int(length[:18]))


def arrays_in(place: Place) -> Optional[StoredArrays]:
    """Return the form of the two-dimensional array at ``place``; None for anything else there."""
    try:
        with open(place.file, "rb") as file:
            file.seek(place.offset)
            start = io.BytesIO(file.read(min(place.length, 1 << 12)))
        version = np.lib.format.read_magic(start)
        if version != (1, 0):
            return None
        shape, _, kind = np.lib.format.read_array_header_1_0(start)
    except (OSError, ValueError, EOFError):
        return None
    if len(shape) != 2 or not shape[1] or not kind.itemsize:
        return None
    return StoredArrays(start.tell(), int(shape[1]), int(kind.itemsize))


def is_heard(path: str) -> bool:
    """Whether the audio at ``path`` is long enough for one frame of features.

    Raises:
        DataError: when it can't be read.
    """
    content, rate = read_stored(path)
    return bool(len(content) if rate is None else frames_of(len(content) * SAMPLE_RATE // rate))
