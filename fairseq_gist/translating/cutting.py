"""Where a recording is cut that is longer than a model should hear at once: in its pauses.

A segment ends in the longest pause between half of what it may have and all of it: pauses within
bounds of length, as in Gaido et al., "Beyond Voice-Activity Detection: Hybrid Audio Segmentation
for Direct Speech Translation" (ICNLSP 2021), where cuts at every pause are worse. Pauses are told
by energy alone: docs/translate.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from fairseq_gist.errors import DataError
from fairseq_gist.sound.audio import check_samples, mono, read_wave

__all__ = ["SHORTEST", "Segment", "cut", "loudness"]

FRAMES_A_SECOND = 100
_BLOCK = 10
"""Seconds that are read at once."""
_SMOOTHING = 3
"""Frames of which the energy is the mean of: less would hear pauses within a period of a voice."""
_SILENT = -70.0
"""Decibels below full scale under which nothing is heard."""
_FLOOR, _PEAK, _SHARE = 10, 95, 0.35
"""A pause is below so much of the way from one percentile of what is heard to the other."""
_PAUSE = 0.2
"""Seconds of the shortest pause: closures of plosives are half as long."""
_LONG_PAUSE = 2.0
"""Seconds of a pause that ends a segment where nothing else is said."""
_MARGIN = 0.2
"""Seconds of the pause that stay with a segment: voices begin and end below the threshold."""
SHORTEST = 0.1
"""Seconds below which no recording says anything, and there are hardly any features."""
_LEAST = 1.0
"""Seconds that a segment before a cut has, where its second half has no pause."""


class Segment(NamedTuple):
    """A part of a recording, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


def loudness(path: Path) -> np.ndarray:
    """Return how loud a recording is, in decibels of full scale, `[hundredths of a second]`.

    It is read in blocks, so that it may be hours long.

    Raises:
        DataError: where it can't be read, ends before its header says, or holds no sound.
    """
    import soundfile

    wave = read_wave(path)
    rate, energies, read = wave.sample_rate, [np.zeros(0)], 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            while True:
                block = file.read(_BLOCK * rate, dtype="float32")
                if not len(block):
                    break
                check_samples(block, rate, path, read / rate)
                energies.append(_energies(mono(block), rate))
                read += len(block)
    except (RuntimeError, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: can't be read at {read / rate:.1f} s ({error})") from error
    if wave.n_samples - read > _MARGIN * rate:
        raise DataError(
            f"{path}: ends at {read / rate:.2f} s, by its header at {wave.seconds:.2f} s; was it "
            "cut off?"
        )
    smooth = np.convolve(np.concatenate(energies), np.ones(_SMOOTHING) / _SMOOTHING, mode="same")
    return np.asarray(10 * np.log10(smooth + 1e-10))


def _energies(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return the mean square of every hundredth of a second, whatever the rate."""
    count = max(1, round(len(samples) * FRAMES_A_SECOND / rate))
    starts = np.arange(count) * len(samples) // count
    sums = np.add.reduceat(samples.astype(np.float64) ** 2, starts)
    return np.asarray(sums / np.diff([*starts, len(samples)]))


def cut(
    loud: np.ndarray, seconds: float, longest: float, longest_pause: Optional[float] = None
) -> List[Segment]:
    """Return the segments of a recording, in order and apart; none where nothing is heard.

    What isn't longer than a segment may be stays as it is, unless pauses are to end segments.

    Args:
        loud: what :func:`loudness` returned.
        seconds: length of the recording.
        longest: seconds of a segment at most.
        longest_pause: seconds of a pause that ends a segment in any case; None for two, in what is
            longer than a segment.
    """
    if seconds < SHORTEST or not (loud > _SILENT).any():
        return []
    if seconds <= longest and longest_pause is None:
        return [Segment(0.0, seconds)]
    pauses, most = _pauses(loud), round((longest - 2 * _MARGIN) * FRAMES_A_SECOND)
    edges: List[Tuple[int, int]] = []
    for start, end in _spoken(pauses, len(loud), longest_pause or _LONG_PAUSE):
        edges += _cut_span(loud, pauses, start, end, most)
    return _with_margins(loud, edges, seconds)


def _pauses(loud: np.ndarray) -> List[Tuple[int, int]]:
    """Return where it is quiet long enough, first frame and the one after the last."""
    heard = loud[loud > _SILENT]
    floor, peak = np.percentile(heard, [_FLOOR, _PEAK])
    quiet = loud < max(floor + _SHARE * (peak - floor), _SILENT)
    borders = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    found = borders.reshape(-1, 2)
    return [(int(a), int(b)) for a, b in found if b - a >= _PAUSE * FRAMES_A_SECOND]


def _spoken(
    pauses: Sequence[Tuple[int, int]], frames: int, longest: float
) -> List[Tuple[int, int]]:
    """Return what lies between long pauses, and between the silence at both ends."""
    found, start = [], 0
    for first, end in pauses:
        is_end = first == 0 or end == frames
        if is_end or end - first >= longest * FRAMES_A_SECOND:
            if first > start:
                found.append((start, first))
            start = end
    return [*found, (start, frames)] if start < frames else found


def _cut_span(
    loud: np.ndarray, pauses: Sequence[Tuple[int, int]], start: int, end: int, most: int
) -> List[Tuple[int, int]]:
    found = []
    while end - start > most:
        half = start + most // 2
        pause = _longest(pauses, half, start + most)
        if pause is None:
            pause = _longest(pauses, start + round(_LEAST * FRAMES_A_SECOND), half)
        if pause is None:  # nobody draws breath, or there is noise: where it is quietest
            quietest = half + int(np.argmin(loud[half : start + most]))
            pause = quietest, quietest
        found.append((start, pause[0]))
        start = pause[1]
    return [*found, (start, end)] if end > start else found


def _longest(pauses: Sequence[Tuple[int, int]], first: int, last: int) -> Optional[Tuple[int, int]]:
    """Return the longest pause that begins between two frames, the later of equals."""
    there = [pause for pause in pauses if first < pause[0] <= last]
    return max(there, key=lambda pause: (pause[1] - pause[0], pause[0]), default=None)


def _with_margins(
    loud: np.ndarray, edges: Sequence[Tuple[int, int]], seconds: float
) -> List[Segment]:
    """Return segments with a part of the pauses around, no more than half of each.

    What is silent to the last bit stays outside: features of nothing at all are so far from those
    of any room that an utterance's normalisation is about them.
    """
    found = []
    margin = round(_MARGIN * FRAMES_A_SECOND)
    kept = [min(margin, (after - end) // 2) for (_, end), (after, _) in zip(edges, edges[1:])]
    for (start, end), before, after in zip(edges, [margin, *kept], [*kept, margin]):
        first = start - _heard(loud[max(0, start - before) : start][::-1])
        last = end + _heard(loud[end : end + after])
        found.append(Segment(first / FRAMES_A_SECOND, min(last / FRAMES_A_SECOND, seconds)))
    return found


def _heard(loud: np.ndarray) -> int:
    """Return for how many frames it isn't silent yet."""
    silent = np.flatnonzero(loud <= _SILENT)
    return int(silent[0]) if len(silent) else len(loud)
