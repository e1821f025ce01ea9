"""Decoding what packages hold: Ogg Vorbis and G.722 become samples at 16 kHz."""

from __future__ import annotations

import numpy as np

from fairseq_gist.corpora.people.phrases import Recording
from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import SAMPLE_RATE, mono, resample
from fairseq_gist.sound.in_memory import decoded

__all__ = ["SoundError", "decode"]


class SoundError(DataError):
    """One recording can't be decoded; others may."""


_G722_BITS = 64000
"""Bits a second of the packages' files."""


def decode(recording: Recording) -> np.ndarray:
    """Return a recording's samples `[samples]`, 16 bits at 16 kHz.

    Raises:
        SoundError: where it can't be decoded.
        DataError: where the library for it is missing.
    """
    if recording.file.endswith(".g722"):
        return _g722(recording.data)
    return _vorbis(recording)


def _g722(data: bytes) -> np.ndarray:
    try:
        import G722
    except ImportError as error:
        raise DataError('G722 is missing: pip install "fairseq-gist[corpora]" brings it') from error
    return np.array(G722.G722(SAMPLE_RATE, _G722_BITS).decode(data), dtype=np.int16)


def _vorbis(recording: Recording) -> np.ndarray:
    try:
        samples, rate = decoded(recording.data, "float64")
    except (RuntimeError, OSError) as error:
        raise SoundError(f"{recording.file}: not readable as Ogg Vorbis ({error})") from error
    whole = np.rint(resample(mono(samples), rate) * 32768) if len(samples) else samples
    return np.asarray(np.clip(whole, -32768, 32767), dtype=np.int16)
