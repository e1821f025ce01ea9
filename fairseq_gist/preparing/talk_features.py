"""What models hear of whole talks: made in parallel, kept one file a talk, joined into one zip.

That is filterbanks (``.npy``), or for models with features of their own the sound itself
(``.flac``). The cache of a talk is a file of such blocks one after the other, and a note (written
last) that says what they are. The zip is not compressed, so that fairseq can read a block from
``zip:offset:length`` alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import multiprocessing
import signal
import struct
import zipfile
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_object, replacing
from fairseq_gist.sound.audio import SAMPLE_RATE, read_samples
from fairseq_gist.sound.filterbank import BINS, filterbank, frames_of
from fairseq_gist.sound.in_memory import encoded

__all__ = [
    "FILTERBANKS",
    "SOUND",
    "ZIPS",
    "Span",
    "Talk",
    "check_audio",
    "compute_features",
    "write_zip",
]

logger = logging.getLogger(__name__)

FILTERBANKS, SOUND = "filterbanks", "sound"
"""What can be kept of the utterances' audio."""

ZIPS = {FILTERBANKS: f"fbank{BINS}.zip", SOUND: "sound.zip"}
"""Where what is kept of the utterances is found."""

_ENDINGS = {FILTERBANKS: ".npy", SOUND: ".flac"}

Span = Tuple[int, int]
"""Offset and duration of an utterance in its talk, in milliseconds."""


@dataclass
class Talk:
    """One wav file and the utterances that any language cuts out of it."""

    name: str
    """Unique, a relative path without extension: ``train/ted_1``."""
    path: Path
    channel: Optional[int] = None
    """From 0; None: all are mixed."""
    spans: Dict[Span, int] = field(default_factory=dict)
    """Span -> number of languages that have it."""
    _order: Dict[Span, int] = field(default_factory=dict)

    def index(self, span: Span) -> int:
        """The place of an utterance in its talk, by time."""
        if len(self._order) != len(self.spans):
            self._order = {each: place for place, each in enumerate(sorted(self.spans))}
        return self._order[span]


@dataclass(frozen=True)
class _Job:
    audio: str
    stamp: List[int]
    """Size and time of the audio file: another recording is computed anew."""
    spans: List[Span]
    cache: str
    keep: str
    channel: Optional[int] = None


def check_audio(talks: Sequence[Talk], workers: int) -> List[str]:
    """What is wrong with the audio that the utterances are cut out of; nothing is written."""
    jobs = [_job(talk, Path(), FILTERBANKS) for talk in talks]
    bar = tqdm(total=len(jobs), desc="reading audio", unit="talk", disable=None)
    with bar:
        found = []
        for problems in _each(_problems, jobs, workers):
            found += problems
            bar.update()
    return sorted(set(found))


def compute_features(
    talks: Sequence[Talk], work: Path, workers: int, keep: str = FILTERBANKS
) -> List[Tuple[Talk, Span, str]]:
    """The cache of every talk under ``work``; what is there already isn't computed again.

    Args:
        talks: of the data.
        work: folder of the caches.
        workers: processes.
        keep: what is kept of an utterance, one of :data:`ZIPS`.

    Returns:
        The utterances whose audio can't be read, with what is wrong with it.
    """
    jobs = [job for job in (_job(talk, work, keep) for talk in talks) if not _is_done(job)]
    there = len(talks) - len(jobs)
    logger.info("%s of %d talks, %d already there", keep, len(talks), there)
    bar = tqdm(total=len(talks), initial=there, desc=keep, unit="talk", disable=None)
    with bar:
        for _ in _each(_compute, jobs, workers):
            bar.update()
    return [
        (talk, (start, length), problem)
        for talk in talks
        for start, length, problem in _note(work, talk).get("problems", ())
    ]


def _job(talk: Talk, work: Path, keep: str) -> _Job:
    status = talk.path.stat()
    stamp = [status.st_size, status.st_mtime_ns]
    cache = str(_cache(work, talk))
    return _Job(str(talk.path), stamp, sorted(talk.spans), cache, keep, talk.channel)


def write_zip(
    path: Path,
    talks: Sequence[Talk],
    work: Path,
    keep: Callable[[Talk, Span, int], bool],
    kind: str = FILTERBANKS,
) -> Iterator[Tuple[Talk, Dict[Span, Tuple[int, int, int]]]]:
    """Join the caches; yields for every talk where its kept blocks are: (offset, bytes, frames).

    ``keep`` decides on (talk, span, frames); ``kind`` is what the caches hold. The zip takes its
    place when the last is done.
    """
    with ExitStack() as stack:
        temporary = stack.enter_context(replacing(path))
        raw = stack.enter_context(open(temporary, "w+b"))
        file = stack.enter_context(zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED))
        for talk in tqdm(talks, desc="writing the zip", unit="talk", disable=None):
            places = {}
            with open(_cache(work, talk), "rb") as cache:
                for span, (frames, start, length) in _entries(work, talk).items():
                    if keep(talk, span, frames):
                        cache.seek(start)
                        name = f"{talk.name}_{talk.index(span)}{_ENDINGS[kind]}"
                        offset = _store(file, raw, name, cache.read(length))
                        places[span] = (offset, length, frames)
            yield talk, places


def _store(file: zipfile.ZipFile, raw: io.BufferedRandom, name: str, data: bytes) -> int:
    """Add one file to the zip; gives the place of its first byte."""
    info = zipfile.ZipInfo(name)  # dated 1980: the same data give the same zip
    file.writestr(info, data)
    end = raw.tell()
    raw.seek(info.header_offset + 26)
    name_length, extra_length = struct.unpack("<HH", raw.read(4))
    raw.seek(end)
    return info.header_offset + 30 + int(name_length) + int(extra_length)


def _each(task: Callable[[_Job], Any], jobs: Sequence[_Job], workers: int) -> Iterator[Any]:
    """Give what each job comes to, as they finish."""
    if workers == 1 or len(jobs) < 2:
        yield from map(task, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _ignore_interrupt) as executor:
        futures = [executor.submit(task, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DataError("a process that computes filterbanks died; is memory short?") from error
        finally:
            for future in futures:
                future.cancel()


def _ignore_interrupt() -> None:
    """Let the parent deal with ctrl-C: a talk that was begun is finished first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _compute(job: _Job) -> None:
    entries, problems, position, cache = [], [], 0, Path(job.cache)
    with replacing(cache) as path, open(path, "wb") as file:
        for span in job.spans:
            try:
                samples = _samples(job, span)
            except DataError as error:
                problems.append([*span, str(error)])
                continue
            block, frames = _BLOCKS[job.keep](samples)
            file.write(block)
            entries.append([*span, frames, position, len(block)])
            position += len(block)
    with replacing(cache.with_suffix(".json")) as path:
        note: Dict[str, Any] = {
            "audio": job.audio,
            "stamp": job.stamp,
            "entries": entries,
            "problems": problems,
        }
        note.update(keep=job.keep, channel=job.channel)
        path.write_text(json.dumps(note), encoding="utf-8")


def _filterbank_block(samples: np.ndarray) -> Tuple[bytes, int]:
    """Return the filterbanks of samples as a file, and their frames."""
    features, block = filterbank(samples), io.BytesIO()
    np.save(block, features)
    return block.getvalue(), len(features)


def _sound_block(samples: np.ndarray) -> Tuple[bytes, int]:
    """Return samples as a file, without loss but for 16 bits, and the frames they have."""
    block = encoded(samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return block, frames_of(len(samples))


_BLOCKS = {FILTERBANKS: _filterbank_block, SOUND: _sound_block}


def _samples(job: _Job, span: Span) -> np.ndarray:
    return read_samples(Path(job.audio), span[0] / 1000, span[1] / 1000, job.channel)


def _problems(job: _Job) -> List[str]:
    """What is wrong with the audio of a talk, computing nothing of it."""
    problems = []
    for span in job.spans:
        try:
            _samples(job, span)
        except DataError as error:
            problems.append(str(error))
    return problems


def _is_done(job: _Job) -> bool:
    try:
        note = read_object(Path(job.cache).with_suffix(".json"), "what a talk's features are")
        made_from = [
            note["audio"],
            note["stamp"],
            note.get("keep", FILTERBANKS),
            note.get("channel"),
        ]
        spans = [(start, length) for start, length, _, _, _ in note["entries"]]
    except (DataError, KeyError, OSError, TypeError, ValueError):
        return False
    made = Path(job.cache).is_file() and not note.get("problems")
    wanted = [job.audio, job.stamp, job.keep, job.channel]
    return made and made_from == wanted and spans == job.spans


def _cache(work: Path, talk: Talk) -> Path:
    """Where a talk's features are: by its name's digest, as some file systems know no case."""
    return work / f"{hashlib.sha256(talk.name.encode()).hexdigest()[:32]}.npys"


def _note(work: Path, talk: Talk) -> Dict[str, Any]:
    return read_object(_cache(work, talk).with_suffix(".json"), "what a talk's features are")


def _entries(work: Path, talk: Talk) -> Dict[Span, Tuple[int, int, int]]:
    """Where the features of each utterance are in a talk's cache: (frames, offset, bytes)."""
    entries = _note(work, talk)["entries"]
    return {(entry[0], entry[1]): (entry[2], entry[3], entry[4]) for entry in entries}
