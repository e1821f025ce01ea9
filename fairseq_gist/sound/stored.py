"""Audio and features where manifests name them: in a file, or inside a zip without compression."""

from __future__ import annotations

import io
from typing import Any, List, Optional, Tuple

import numpy as np
from fairseq.data.audio.audio_utils import is_npy_data, parse_path, read_from_stored_zip

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import check_samples, mono, resample
from fairseq_gist.sound.filterbank import filterbank

__all__ = ["filterbanks_at", "read_stored"]


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
        import soundfile

        samples, rate = soundfile.read(data if not place else io.BytesIO(data), dtype="float32")
        return samples, int(rate)
    except (OSError, ValueError, AssertionError, RuntimeError) as error:
        raise DataError(f"{path}: neither readable audio nor features ({error})") from error


def _is_array(data: Any, place: List[int]) -> bool:
    return is_npy_data(data) if place else str(data).endswith(".npy")
