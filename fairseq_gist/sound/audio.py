"""Audio files: what their header says, and parts of them as mono samples at 16 kHz."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from fairseq_gist.errors import DataError
from fairseq_gist.files import missing
from fairseq_gist.sound.cut_off import share_there

__all__ = [
    "CONVERTED",
    "SAMPLE_RATE",
    "Wave",
    "check_samples",
    "mono",
    "read_samples",
    "read_wave",
    "resample",
]

SAMPLE_RATE = 16000
"""What the features are computed from, in Hz; other audio is resampled first."""

_LOUDEST = 2.0**31
"""Floats beyond -1 to 1 are as good, whole numbers too; their squares have to stay finite."""

CONVERTED = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mkv", ".amr", ".3gp")
"""Endings of what libsndfile reads no kind of, and ffmpeg does."""

_RATES = (1000, 1000000)
_MISSING = 0.1
"""Seconds that may lack at the end of a file: headers of MP3 files count padding."""


@dataclass(frozen=True)
class Wave:
    """What the header of an audio file says."""

    path: Path
    sample_rate: int
    n_samples: int
    channels: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate


def read_wave(path: Path) -> Wave:
    """The header of an audio file."""
    import soundfile

    if not path.is_file():
        raise DataError(f"{path}: {missing(path)}")
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty")
    try:
        info = soundfile.info(str(path))
    except (RuntimeError, OSError) as error:
        raise DataError(f"{path}: not readable audio ({error}){_advice(path)}") from error
    if info.frames <= 0 or info.samplerate <= 0:
        raise DataError(f"{path}: the file holds no samples")
    _check_rate(info.samplerate, path)
    there = info.frames / info.samplerate
    said = there / max(share_there(path), 1e-9)
    if said - there > _MISSING:
        raise DataError(_cut_off(path, there, said))
    return Wave(path, info.samplerate, info.frames, info.channels)


def mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels of ``samples`` [samples] or [samples, channels]."""
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def resample(samples: np.ndarray, rate: int, to_rate: int = SAMPLE_RATE) -> np.ndarray:
    """``samples`` at ``rate`` Hz, as they are at ``to_rate`` Hz."""
    if rate == to_rate:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, to_rate)
    return np.asarray(resample_poly(samples, to_rate // common, rate // common))


def check_samples(samples: np.ndarray, rate: int, path: object, start: float = 0.0) -> None:
    """Raise DataError for samples that no sound has, and of which no features can be made.

    Args:
        samples: `[samples]` or `[samples, channels]`, as floats.
        rate: in Hz.
        path: what they were read from, for errors.
        start: where they begin in it, in seconds.
    """
    _check_rate(rate, path)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(samples) <= _LOUDEST)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        where = f"{path}: the sample at {start + place[0] / rate:.4f} s"
        raise DataError(f"{where} is {samples[place]:g}; expected numbers from -1 to 1")


def _cut_off(path: Path, end: float, said: float) -> str:
    return f"{path}: ends at {end:.2f} s, by its header at {said:.2f} s; was it cut off?"


def _advice(path: Path) -> str:
    """What to do about a file that libsndfile doesn't read, empty where only its content is odd."""
    ending = path.suffix.lower()
    if ending in CONVERTED:
        return f"; {ending} isn't read here: ffmpeg -i {path.name} -ac 1 -ar 16000 {path.stem}.flac"
    if ending == ".sph":
        return f"; where it is compressed by shorten: sph2pipe -f wav {path.name} {path.stem}.wav"
    return ""


def _check_rate(rate: int, path: object) -> None:
    """Raise DataError for a rate that only a damaged header has, and resampling takes for ever."""
    if not _RATES[0] <= rate <= _RATES[1]:
        expected = " to ".join(f"{limit:,}" for limit in _RATES)
        raise DataError(f"{path}: a sampling rate of {rate:,} Hz; expected {expected}")


def read_samples(
    path: Path, offset: float, duration: float, channel: Optional[int] = None
) -> np.ndarray:
    """Part of an audio file as mono float32 at 16 kHz; times in seconds.

    Args:
        path: of the file.
        offset: where the part begins.
        duration: of the part.
        channel: from 0; None mixes all.

    Raises:
        DataError: where it can't be read, ends before its header says, or holds no sound.
    """
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, frames = file.samplerate, file.frames
            start, wanted = round(offset * rate), round(duration * rate)
            file.seek(min(start, frames))
            samples = file.read(wanted, dtype="float32")
    except (RuntimeError, OSError) as error:
        raise DataError(f"{path}: not readable audio ({error}){_advice(path)}") from error
    if min(wanted, frames - start) - len(samples) > _MISSING * rate:
        raise DataError(_cut_off(path, offset + len(samples) / rate, frames / rate))
    if not len(samples):
        return np.zeros(0, dtype=np.float32)
    check_samples(samples, rate, path, offset)
    one = mono(samples) if channel is None or samples.ndim == 1 else samples[:, channel]
    return resample(one, rate).astype(np.float32)
