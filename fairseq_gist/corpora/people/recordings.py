"""Every recording of the packages as a wav file: decoded once, and measured."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import List, Sequence, Set

import numpy as np
from tqdm import tqdm

from fairseq_gist.corpora.audio import write_wav
from fairseq_gist.corpora.people.phrases import Heard, Recording
from fairseq_gist.corpora.people.sound import SoundError, decode
from fairseq_gist.files import replacing, unused_name
from fairseq_gist.sound.audio import SAMPLE_RATE

__all__ = ["decode_all"]

_HEADER = 44
"""Bytes of a wav file before its samples, as the standard library writes it."""

_FRAME = 160
"""Samples: 10 ms."""
_LOUD = 0.05
"""Of the loudest frame."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")


def decode_all(recordings: Sequence[Recording], folder: Path, workers: int) -> List[Heard]:
    """Write the wav files of all recordings into a folder, those that aren't there.

    Args:
        recordings: their order decides over names that would be the same.
        folder: for nothing else, and for the same recordings every time.
        workers: threads that decode at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = _names(recordings)
    with ThreadPoolExecutor(workers) as executor:
        heard = executor.map(partial(_decode_one, folder=folder), recordings, names)
        return list(tqdm(heard, total=len(names), desc="decoding", unit="recording", disable=None))


def _names(recordings: Sequence[Recording]) -> List[str]:
    taken: Set[str] = set()
    names: List[str] = []
    for one in recordings:
        parts = (one.collection, one.language, one.name.replace("/", "."))
        name = _UNUSUAL.sub("_", ".".join(parts))[:200]
        if name in taken:
            name = unused_name(name, taken)
        taken.add(name)
        names.append(f"{name}.wav")
    return names


def _decode_one(recording: Recording, wav: str, folder: Path) -> Heard:
    path = folder / wav
    if not path.is_file():
        try:
            samples = decode(recording)
        except SoundError:
            return Heard(recording, wav, 0.0, 0.0, 0.0, "")
        with replacing(path) as temporary:
            write_wav(temporary, samples)
    samples = np.frombuffer(path.read_bytes()[_HEADER:], dtype="<i2")
    peak = float(np.abs(samples.astype(np.int32)).max()) / 32768 if len(samples) else 0.0
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return Heard(recording, wav, len(samples) / SAMPLE_RATE, _speech(samples), peak, digest)


def _speech(samples: np.ndarray) -> float:
    """Return the seconds from the first to the last frame that is loud, of samples `[samples]`."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME).astype(np.float64)
    loudness = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(loudness > _LOUD * loudness.max(initial=0.0))
    return float(loud[-1] - loud[0] + 1) * _FRAME / SAMPLE_RATE if len(loud) else 0.0
