"""What there is to prepare: every talk of every split, found once for all languages."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Union

from tqdm import tqdm

from fairseq_gist.errors import DataError
from fairseq_gist.files import unused_name
from fairseq_gist.preparing.layouts.base import Layout, Segment
from fairseq_gist.preparing.published import looks_like
from fairseq_gist.preparing.talk_features import Span, Talk
from fairseq_gist.sound.audio import Wave, read_wave

__all__ = ["TRAIN", "Survey", "span_of", "summary"]

TRAIN = "train"
"""The split that every language has to have."""

_SLACK = 0.5
"""Seconds by which a segment may end after its wav: forced alignment does that; it is cut."""

_SHOWN = 4
"""Problems that an error's line has."""

_BLOCKS, _BLOCK_BYTES = 16, 4096


def span_of(segment: Segment) -> Span:
    """Where a segment is in its talk, in whole milliseconds (frames are 10 ms apart)."""
    return round(segment.offset * 1000), round(segment.duration * 1000)


@dataclass
class Survey:
    """Talks in the order of their first appearance, shared by the languages that have them.

    Two wav files of one name in the same split are one talk where their audio is the same (one
    inode, or equal headers, sizes and samples at places spread over the file).
    """

    layout: Layout
    _languages: Sequence[str]
    splits: Dict[str, List[Talk]] = field(default_factory=dict)
    absent: Dict[str, List[str]] = field(default_factory=dict)
    """Split -> languages that have nothing of it; none where all have."""
    untranscribed: Dict[str, List[str]] = field(default_factory=dict)
    """Split -> languages of which it isn't written down what is said."""
    broken: List[str] = field(default_factory=list)
    """What is wrong with whole splits, of which nothing can be read then."""
    faulty: List[str] = field(default_factory=list)
    """What is wrong with segments, which could be left out."""
    _left_out: Dict[Tuple[str, str], Set[int]] = field(default_factory=dict)
    """(Split, language) -> lines of faulty segments."""
    _unheard: Set[Tuple[str, Span]] = field(default_factory=set)
    """(Name of a talk, place in it) of audio that can't be read."""
    _by_wav: Dict[Tuple[str, str, str], Talk] = field(default_factory=dict)
    _known: Dict[Tuple[str, str], Dict[str, Talk]] = field(default_factory=dict)
    """(Split, name without extension) -> fingerprint of the audio -> talk."""
    _waves: Dict[Tuple[int, int], Tuple[Wave, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, languages: Sequence[str], splits: Sequence[str]) -> Survey:
        """Read and check every segment of the splits in these languages.

        What is wrong is kept in :attr:`broken` and :attr:`faulty`; :meth:`check` raises it.
        """
        survey = cls(layout, languages)
        jobs = [(split, language) for split in splits for language in languages]
        for split, language in tqdm(jobs, desc="reading segments", unit="split", disable=None):
            survey._add(language, split)
        for split in splits:
            if survey.absent.get(split, []) == list(languages):
                found = f"no language has segments of split {split!r}"
                advice = looks_like(layout.root, layout.name) or "choose with --splits"
                survey.broken.append(f"{layout.root}: {found}; {advice}")
        survey._name_talks()
        return survey

    def check(self, skip_bad: bool = False) -> None:
        """Raise DataError with what is wrong, or only where segments alone can't be left out."""
        problems = [*self.broken, *([] if skip_bad else self.faulty)]
        if problems:
            raise DataError(summary(problems))

    def segments(self, language: str, split: str) -> List[Segment]:
        """The segments of a split that aren't faulty."""
        if language in self.absent.get(split, ()):
            return []
        left_out = self._left_out[split, language]
        found, _ = self.layout.checked(language, split)
        return [segment for segment in found if segment.line not in left_out]

    def left_out(self, language: str, split: str) -> int:
        """How many segments of a split are faulty, not counting those that can't be heard."""
        return len(self._left_out.get((split, language), ()))

    def leave_out(self, talk: Talk, span: Span) -> None:
        """Count audio as faulty that turned out not to be readable."""
        self._unheard.add((talk.name, span))

    def is_heard(self, talk: Talk, span: Span) -> bool:
        """Whether the audio of a segment can be read."""
        return (talk.name, span) not in self._unheard

    def languages(self, split: str) -> List[str]:
        """The languages that have something of a split, in order."""
        return [one for one in self._languages if one not in self.absent.get(split, ())]

    def talk(self, language: str, split: str, wav: str) -> Talk:
        """The talk that a segment of this language names."""
        return self._by_wav[split, language, wav]

    def talks(self) -> List[Talk]:
        """All talks of all splits."""
        return [talk for talks in self.splits.values() for talk in talks]

    def _add(self, language: str, split: str) -> None:
        self.splits.setdefault(split, [])
        there = self.layout.has(language, split)
        try:
            if there:
                self.layout.files(language, split)
            segments, wrong = self.layout.checked(language, split) if there else ([], {})
        except DataError as error:
            self.broken.append(str(error))
            return
        if not (segments or wrong):
            self._add_nothing(language, split, "lists no segments" if there else "no such file")
            return
        if not any(segment.source for segment in segments):
            self.untranscribed.setdefault(split, []).append(language)
        self.faulty += wrong.values()
        left_out = self._left_out.setdefault((split, language), set(wrong))
        waves = _Waves()
        counted = set()
        for segment in segments:
            where = self.layout.place(language, split, segment.line)
            path = self.layout.wav(language, split, segment.wav)
            read = functools.partial(self._read, language, split, segment.wav, path)
            wave = waves.of(segment.wav, path, where, read)
            problem = None if wave is None else _problem_of_times(segment, wave, where)
            if problem:
                self.faulty.append(problem)
            if problem or wave is None:
                left_out.add(segment.line)
            elif (segment.wav, span_of(segment)) not in counted:  # twice the same: one audio
                counted.add((segment.wav, span_of(segment)))
                spans = self._by_wav[split, language, segment.wav].spans
                spans[span_of(segment)] = spans.get(span_of(segment), 0) + 1
        self.faulty += waves.problems()

    def _add_nothing(self, language: str, split: str, found: str) -> None:
        if split == TRAIN:
            listing = self.layout.listing(language, split)
            expected = f"every language has to have some of {TRAIN}"
            self.broken.append(f"{listing}: {found}; {expected}")
        else:
            self.absent.setdefault(split, []).append(language)

    def _wave(self, path: Path) -> Tuple[Wave, str]:
        status = path.stat()
        inode = (status.st_dev, status.st_ino)
        if inode not in self._waves or not status.st_ino:
            wave = read_wave(path)
            self._waves[inode] = (wave, _fingerprint(wave, status.st_size))
        return self._waves[inode]

    def _read(self, language: str, split: str, wav: str, path: Path) -> Wave:
        wave, fingerprint = self._wave(path)
        channel = self.layout.channel(wav)
        if channel is not None and channel >= wave.channels:
            found = f"{wave.channels} channel" + ("s" if wave.channels > 1 else "")
            raise DataError(f"{path}: expected channel {channel + 1}, found {found}")
        self._by_wav[split, language, wav] = self._find(split, path, fingerprint, channel)
        return wave

    def _find(self, split: str, path: Path, fingerprint: str, channel: Optional[int]) -> Talk:
        stem = path.stem if channel is None else f"{path.stem}.{channel + 1}"
        known = self._known.setdefault((split, stem), {})
        fingerprint = f"{fingerprint} {channel}"
        if fingerprint not in known:
            known[fingerprint] = Talk(f"{split}/{stem}", path, channel)
            self.splits[split].append(known[fingerprint])
        return known[fingerprint]

    def _name_talks(self) -> None:
        """Number the recordings that share their name, by names that no file has.

        Only when all are known: a file of any language may be called as the second of another.
        """
        taken = {f"{split}/{stem}" for split, stem in self._known}
        for talks in self._known.values():
            for number, talk in enumerate(list(talks.values())[1:], start=2):
                talk.name = unused_name(talk.name, taken, number)


class _Waves:
    """The audio files of one split in one language, each read and found wanting once."""

    def __init__(self) -> None:
        self._found: Dict[str, Union[Wave, str]] = {}
        self._missing: Counter[str] = Counter()

    def of(self, wav: str, path: Path, where: str, read: Callable[[], Wave]) -> Optional[Wave]:
        """What ``read`` finds in a segment's audio, None where it can't be read."""
        if wav not in self._found:
            try:
                if not path.is_file():
                    raise DataError(f"{where}: there is no {path}")
                self._found[wav] = read()
            except DataError as error:
                self._found[wav] = str(error)
        found = self._found[wav]
        if isinstance(found, Wave):
            return found
        self._missing[wav] += 1
        return None

    def problems(self) -> Iterator[str]:
        """What is wrong with the files, with the number of segments where there are several."""
        for wav, count in self._missing.items():
            yield f"{self._found[wav]}" + (f" ({count} segments name it)" if count > 1 else "")


def _problem_of_times(segment: Segment, wave: Wave, where: str) -> Optional[str]:
    if segment.offset <= wave.seconds and segment.end <= wave.seconds + _SLACK:
        return None
    return f"{where}: ends at {segment.end:.2f} s, but {wave.path} is {wave.seconds:.2f} s long"


def summary(problems: Sequence[str]) -> str:
    """Return problems as one line: the first few, and how many there are."""
    different = list(dict.fromkeys(problems))
    if len(different) == 1:
        return different[0]
    more = len(different) - _SHOWN
    rest = f"; and {more} more, which --check lists" if more > 0 else ""
    return f"{len(different)} problems: {'; '.join(different[:_SHOWN])}{rest}"


def _fingerprint(wave: Wave, size: int) -> str:
    digest = hashlib.sha1(f"{wave.sample_rate} {wave.n_samples} {wave.channels} {size}".encode())
    with open(wave.path, "rb") as file:
        for block in range(_BLOCKS):
            file.seek(block * max(0, size - _BLOCK_BYTES) // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
