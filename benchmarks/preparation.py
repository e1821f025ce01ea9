"""What filterbanks cost: core-seconds, how two processes share the work, and memory."""

from __future__ import annotations

import dataclasses
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.figures import Figure, compare
from fairseq_gist.preparing.talk_features import Talk, compute_features, write_zip
from fairseq_gist.sound.audio import SAMPLE_RATE

__all__ = ["filterbanks"]

MINUTES = 5
TALKS = 12
LONG_MINUTES = 60
_SEGMENT_MS, _PAUSE_MS = 5800, 200  # about the average of MuST-C
_HOUR = f"an hour of audio at 16 kHz: {TALKS} talks of {MINUTES} minutes, segments of 6 seconds"
_MEMORY_PAIRS = 3


def filterbanks(pairs: int) -> List[Figure]:
    """Measure the filterbanks of an hour of audio, as ``fairseq-gist prepare`` makes them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        talks = [_talk(folder, f"talk_{number}", MINUTES, number) for number in range(TALKS)]
        seconds: Dict[int, List[float]] = {1: [], 2: []}

        def prepare(processes: int) -> None:
            before = _cpu_seconds()
            _prepare(talks, folder, processes)
            seconds[processes].append(_cpu_seconds() - before)

        scaling = compare(
            "filterbank_scaling",
            lambda: prepare(2),
            lambda: prepare(1),
            says_a=f"filterbanks of {_HOUR}, with 2 processes",
            says_b="the same with 1",
            pairs=pairs,
            faster=True,
        )
        memory = _memory(folder, min(pairs, _MEMORY_PAIRS))
    # compare() sees this process alone
    return [_core_seconds(seconds), dataclasses.replace(scaling, cpu=None), memory]


def _core_seconds(seconds: Dict[int, List[float]]) -> Figure:
    alone, both = (seconds[processes][1:] for processes in (1, 2))  # the first was to warm up
    return Figure(
        name="filterbank_core_seconds",
        value=statistics.median(both),
        unit="core-seconds per hour of audio",
        a=f"filterbanks of {_HOUR}, read, computed and written to the zip by 2 processes",
        b="",
        pairs=len(both),
        minimum=min(both),
        maximum=max(both),
        details={"with_1_process": statistics.median(alone)},
    )


def _memory(folder: Path, pairs: int) -> Figure:
    talks = [_talk(folder, f"{minutes}", minutes, 0) for minutes in (LONG_MINUTES, MINUTES)]
    peaks: List[List[int]] = [
        [_peak_of_new_process(talk) for talk in talks]
        for _ in tqdm(range(pairs), desc="filterbank_memory", unit="pair")
    ]
    ratios = [long / short for long, short in peaks]
    return Figure(
        name="filterbank_memory",
        value=statistics.median(ratios),
        unit="of the memory",
        a=f"peak of a process that makes the filterbanks of a talk of {LONG_MINUTES} minutes",
        b=f"of one of {MINUTES} minutes",
        pairs=pairs,
        minimum=min(ratios),
        maximum=max(ratios),
        target="<= 1.2",
        details={
            "bytes_a": statistics.median(long for long, _ in peaks),
            "bytes_b": statistics.median(short for _, short in peaks),
        },
    )


def _talk(folder: Path, name: str, minutes: int, seed: int) -> Talk:
    """Write noise and a tone that changes every minute; segments follow each other."""
    source = np.random.default_rng(seed)
    path = folder / f"{name}.wav"
    time = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    with soundfile.SoundFile(str(path), "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(minutes):
            tone = np.sin(2 * np.pi * source.uniform(100, 4000) * time)
            file.write(0.3 * tone + 0.05 * source.standard_normal(len(time)))
    starts = range(0, 60_000 * minutes, _SEGMENT_MS + _PAUSE_MS)
    return Talk(name, path, {(start, _SEGMENT_MS): 1 for start in starts})


def _prepare(talks: Sequence[Talk], folder: Path, processes: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as work:
        compute_features(talks, Path(work), processes)
        for _ in write_zip(Path(work) / "fbank80.zip", talks, Path(work), lambda *_: True):
            pass


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_of_new_process(talk: Talk) -> int:
    minutes = str(len(talk.spans) * (_SEGMENT_MS + _PAUSE_MS) // 60_000)
    command = [sys.executable, "-m", "benchmarks.preparation", str(talk.path), minutes]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak(path: Path, minutes: int) -> None:
    starts = range(0, 60_000 * minutes, _SEGMENT_MS + _PAUSE_MS)
    talk = Talk(path.stem, path, {(start, _SEGMENT_MS): 1 for start in starts})
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        compute_features([talk], Path(work), 1)
    # not ru_maxrss: that starts at the size of the process that this one was forked from
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    print(int(peak.split()[1]) * 1024)


if __name__ == "__main__":
    _print_peak(Path(sys.argv[1]), int(sys.argv[2]))
