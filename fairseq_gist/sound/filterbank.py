"""Log-mel filterbanks as Kaldi defines them: 25 ms windows every 10 ms, 80 bins, no dither."""

from __future__ import annotations

import numpy as np

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import SAMPLE_RATE

__all__ = ["BINS", "filterbank", "frames_of"]

BINS = 80
"""Mel bins of a frame."""

_WINDOW, _STEP = 400, 160  # samples of a frame, and from one to the next
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


def frames_of(samples: int) -> int:
    """Return how many frames the filterbank of so many samples at 16 kHz has."""
    return max(0, (samples - _WINDOW) // _STEP + 1)
