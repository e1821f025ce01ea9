"""What there is to prepare: every talk of every split, found once for all languages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist.errors import DataError
from fairseq_gist.files import unused_name
from fairseq_gist.preparing.audio import Wave, read_wave
from fairseq_gist.preparing.layouts.base import Layout, Segment
from fairseq_gist.preparing.talk_features import Span, Talk

__all__ = ["TRAIN", "Survey", "span_of"]

TRAIN = "train"
"""The split that every language has to have."""

_SLACK = 0.5
"""Seconds by which a segment may end after its wav: forced alignment does that; it is cut."""

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
    _by_wav: Dict[Tuple[str, str, str], Talk] = field(default_factory=dict)
    _known: Dict[Tuple[str, str], Dict[str, Talk]] = field(default_factory=dict)
    """(Split, name without extension) -> fingerprint of the audio -> talk."""
    _waves: Dict[Tuple[int, int], Tuple[Wave, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, layout: Layout, languages: Sequence[str], splits: Sequence[str]) -> Survey:
        """Read and check every segment of the splits in these languages."""
        survey = cls(layout, languages)
        jobs = [(split, language) for split in splits for language in languages]
        for split, language in tqdm(jobs, desc="reading segments", unit="split", disable=None):
            survey._add(language, split)
        for split in splits:
            if survey.absent.get(split, []) == list(languages):
                found = f"no language has segments of split {split!r}"
                raise DataError(f"{layout.root}: {found}; choose with --splits")
        survey._name_talks()
        return survey

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
        listing = self.layout.listing(language, split)
        self.splits.setdefault(split, [])
        there = self.layout.has(language, split)
        segments = self.layout.segments(language, split) if there else []
        if not segments:
            if split == TRAIN:
                found = "lists no segments" if there else "no such file"
                raise DataError(f"{listing}: {found}; every language has to have some of {TRAIN}")
            self.absent.setdefault(split, []).append(language)
            return
        if not any(segment.source for segment in segments):
            self.untranscribed.setdefault(split, []).append(language)
        waves: Dict[str, Wave] = {}
        counted = set()
        for segment in segments:
            where = f"{listing}: segment {segment.line}"
            if segment.wav not in waves:
                path = self.layout.wav(language, split, segment.wav)
                if not path.is_file():
                    raise DataError(f"{where}: there is no {path}")
                waves[segment.wav], fingerprint = self._wave(path)
                talk = self._find(split, path, fingerprint)
                self._by_wav[split, language, segment.wav] = talk
            _check_times(segment, waves[segment.wav], where)
            if (segment.wav, span_of(segment)) not in counted:  # twice the same: one audio
                counted.add((segment.wav, span_of(segment)))
                spans = self._by_wav[split, language, segment.wav].spans
                spans[span_of(segment)] = spans.get(span_of(segment), 0) + 1

    def _wave(self, path: Path) -> Tuple[Wave, str]:
        status = path.stat()
        inode = (status.st_dev, status.st_ino)
        if inode not in self._waves or not status.st_ino:
            wave = read_wave(path)
            self._waves[inode] = (wave, _fingerprint(wave, status.st_size))
        return self._waves[inode]

    def _find(self, split: str, path: Path, fingerprint: str) -> Talk:
        known = self._known.setdefault((split, path.stem), {})
        if fingerprint not in known:
            known[fingerprint] = Talk(f"{split}/{path.stem}", path)
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


def _check_times(segment: Segment, wave: Wave, where: str) -> None:
    end = segment.end
    if segment.offset > wave.seconds or end > wave.seconds + _SLACK:
        raise DataError(
            f"{where}: ends at {end:.2f} s, but {wave.path} is {wave.seconds:.2f} s long"
        )


def _fingerprint(wave: Wave, size: int) -> str:
    digest = hashlib.sha1(f"{wave.sample_rate} {wave.n_samples} {wave.channels} {size}".encode())
    with open(wave.path, "rb") as file:
        for block in range(_BLOCKS):
            file.seek(block * max(0, size - _BLOCK_BYTES) // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()
