"""Log-mel filterbanks as Kaldi defines them: 25 ms windows every 10 ms, 80 bins, no dither."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fairseq_gist.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BINS", "SAMPLE_RATE", "filterbank", "mono", "read_samples", "resample"]

BINS = 80
"""Mel bins of a frame."""

SAMPLE_RATE = 16000
"""What the features are computed from, in Hz; other audio is resampled first."""

_FULL_SCALE = 32768.0  # Kaldi's samples are 16-bit integers


def filterbank(samples: np.ndarray) -> np.ndarray:
    """Features [frames, 80] (float32) of mono ``samples`` in [-1, 1] at 16 kHz.

    Frames that would reach past the end are left out (Kaldi's ``snip_edges``): 25 ms of sound
    are needed for the first.
    """
    try:
        import kaldi_native_fbank
    except ImportError as error:
        raise DataError(
            "kaldi-native-fbank is missing: pip install kaldi-native-fbank brings it"
        ) from error
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = BINS
    computer = kaldi_native_fbank.OnlineFbank(options)
    computer.accept_waveform(SAMPLE_RATE, (samples * np.float32(_FULL_SCALE)).astype(np.float32))
    computer.input_finished()
    frames = [computer.get_frame(index) for index in range(computer.num_frames_ready)]
    if not frames:
        return np.zeros((0, BINS), dtype=np.float32)
    return np.stack(frames).astype(np.float32)


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


def read_samples(path: Path, offset: float, duration: float) -> np.ndarray:
    """Part of an audio file as mono float32 at 16 kHz; times in seconds."""
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            file.seek(min(round(offset * file.samplerate), file.frames))
            samples = file.read(round(duration * file.samplerate), dtype="float32")
            rate = file.samplerate
    except (RuntimeError, OSError) as error:
        raise DataError(f"{path}: not a readable wav file ({error})") from error
    if not len(samples):
        return np.zeros(0, dtype=np.float32)
    return resample(mono(samples), rate).astype(np.float32)
