"""Wav files of a corpus: written once, and linked into the folders of all languages."""

from __future__ import annotations

import filecmp
import os
import shutil
import wave
from pathlib import Path

import numpy as np

from fairseq_gist.files import replacing
from fairseq_gist.sound.audio import SAMPLE_RATE

__all__ = ["link_audio", "write_wav"]


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write ``samples`` `[samples]` of 16 bits, at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def link_audio(audio: Path, path: Path) -> None:
    """The same audio at ``path``: a hard link, or a copy where the file system has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        # of one length alone it may be another recording: speaking twice isn't the same
        if os.path.samefile(audio, path) or filecmp.cmp(audio, path, shallow=False):
            return
        path.unlink()
    try:
        os.link(str(audio), str(path))
    except OSError:
        with replacing(path) as temporary:
            shutil.copyfile(str(audio), str(temporary))
