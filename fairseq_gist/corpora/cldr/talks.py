"""Talks: who says what in one wav file, and the speaking of it, a process for each talk."""

from __future__ import annotations

import array
import json
import logging
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from fairseq_gist.corpora.audio import write_wav
from fairseq_gist.corpora.cldr import speech
from fairseq_gist.corpora.cldr.phrases import Phrase
from fairseq_gist.errors import DataError
from fairseq_gist.files import read_json, replacing
from fairseq_gist.sound.audio import SAMPLE_RATE, resample

__all__ = ["SpokenTalk", "speak_all"]

logger = logging.getLogger(__name__)

_GRID = 160  # samples (10 ms): segments begin and end there, so that times are short decimals
_SILENCE = 25 * _GRID  # samples between two segments of a talk
_QUIET = 40  # of 32768: what counts as silence at the ends of an utterance


@dataclass(frozen=True)
class SpokenTalk:
    """Phrases that one voice says, one after the other."""

    name: str
    split: str
    voice: str
    language: str
    """What is spoken."""
    phrases: Tuple[Phrase, ...]

    @property
    def wav(self) -> str:
        """The name of its file."""
        return f"{self.name}.wav"


def speak_all(
    talks: Sequence[SpokenTalk], work: Path, workers: int
) -> Dict[str, List[Tuple[float, float]]]:
    """Every talk's wav in the work folder; gives its segments' (offset, duration) in seconds."""
    times: Dict[str, List[Tuple[float, float]]] = {}
    there = sum((work / f"{talk.name}.json").is_file() for talk in talks)
    logger.info("speaking %d talks, %d already there", len(talks), there)
    with ThreadPoolExecutor(workers) as executor:
        futures = {executor.submit(_speak_talk, talk, work): talk.name for talk in talks}
        try:
            for future in tqdm(
                as_completed(futures),
                total=len(futures),
                desc="speaking",
                unit="talk",
                disable=None,
            ):
                times[futures[future]] = future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return times


def _speak_talk(talk: SpokenTalk, work: Path) -> List[Tuple[float, float]]:
    audio, note = work / f"{talk.name}.wav", work / f"{talk.name}.json"
    there = _times(note)
    if audio.is_file() and len(there) == len(talk.phrases):  # the note is written last
        return there
    pieces, times, position = [np.zeros(_SILENCE, np.int16)], [], _SILENCE
    texts = [phrase.text(talk.language) for phrase in talk.phrases]
    for samples in speech.speak(talk.voice, texts):
        piece = _at_16khz(samples)
        times.append((position / SAMPLE_RATE, len(piece) / SAMPLE_RATE))
        pieces += [piece, np.zeros(_SILENCE, np.int16)]
        position += len(piece) + _SILENCE
    with replacing(audio) as path:
        write_wav(path, np.concatenate(pieces))
    with replacing(note) as path:
        path.write_text(json.dumps(times), encoding="utf-8")
    return times


def _times(note: Path) -> List[Tuple[float, float]]:
    """Return the times that were noted of a talk, none where the note isn't there or is damaged."""
    try:
        found = read_json(note, "times")
        return [(float(offset), float(duration)) for offset, duration in found]
    except (DataError, OSError, TypeError, ValueError):
        return []


def _at_16khz(samples: array.array[int]) -> np.ndarray:
    """16-bit samples at 16 kHz, without the silence at both ends, a multiple of 10 ms long."""
    resampled = resample(np.array(samples, dtype=np.float64), speech.SAMPLE_RATE)
    whole = np.clip(np.rint(resampled), -32768, 32767).astype(np.int16)
    loud = np.flatnonzero(np.abs(whole.astype(np.int32)) > _QUIET)
    if len(loud):
        first = max(0, loud[0] - 5 * _GRID)
        whole = whole[first : loud[-1] + 5 * _GRID]
    return np.pad(whole, (0, -len(whole) % _GRID))
