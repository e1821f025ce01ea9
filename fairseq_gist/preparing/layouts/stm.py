"""STM files, NIST's segment time marks: one file has the translations, another what is said.

A line is ``file channel speaker start end <label> text``, with spaces or tabs. The names of files
say what is in them: ``train.de.stm`` has German, the spoken language's has transcripts;
``st-aeb2eng.norm.train.stm`` and ``asr-aeb.norm.train.stm`` are those of IWSLT's Tunisian data.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import iter_lines, missing
from fairseq_gist.languages.codes import is_code, same_code
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import in_order, remembered, seconds
from fairseq_gist.sound.audio import CONVERTED

__all__ = ["LAYOUT", "STM"]

_PLACES = ("*.stm", "stm/*.stm", "*/*.stm", "*/stm/*.stm")
_SPLIT = re.compile(r"^(train|dev|val|test|tst|eval)")
_PAIR = re.compile(r"^(st-)?(?P<source>[a-z]{2,3})2(?P<target>[a-z]{2,3})$", re.I)
_VARIANTS = ("norm", "", "raw")
"""Of a text that is there twice, as the Tunisian data are: the first is taken."""

_LABEL = re.compile(r"^<[^<>]*>\s*")
_IGNORED = "ignore_time_segment_in_scoring"
_NOBODY = ("inter_segment_gap", "excluded_region")
"""Speakers of what isn't said."""

_AUDIO = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".sph", *CONVERTED)


class _Named(NamedTuple):
    split: str
    source: str
    """Empty in a file of one language alone."""
    language: str
    """What it is written in."""


class _Mark(NamedTuple):
    line: int
    file: str
    channel: str
    speaker: str
    start: float
    end: float
    text: str

    @property
    def is_said(self) -> bool:
        """Whether it isn't what scoring is to ignore, nor time between speakers."""
        return self.speaker not in _NOBODY and self.text.lower() != _IGNORED

    @property
    def place(self) -> Tuple[str, str, int, int]:
        """By which the translation of a transcript is found, to a hundredth of a second."""
        return self.file, self.channel, round(100 * self.start), round(100 * self.end)


@dataclass(frozen=True)
class STM(Paired):
    """STM files below the root, and audio anywhere below it, by name."""

    name = "stm"
    summary = "ROOT/SPLIT.YY.stm or ROOT/st-XX2YY.SPLIT.stm, audio anywhere below"

    def splits(self) -> Tuple[str, ...]:
        """Those that there are translations of."""
        pairs = ((named.split, self._pair_of(named)) for named in self._stms)
        return in_order(
            (split for split, pair in pairs if pair and self.is_asked(*pair)), self.root
        )

    def pairs(self) -> Iterable[Tuple[str, str]]:
        """By the names of the files."""
        pairs = (self._pair_of(named) for named in self._stms)
        return [pair for pair in pairs if pair]

    def has(self, language: str, split: str) -> bool:
        """Whether there is a file with the split's translations."""
        return self._file(language, split) is not None

    def listing(self, language: str, split: str) -> Path:
        """The file with the translations."""
        return self._file(language, split) or self.root / f"{split}.{language}.stm"

    def files(self, language: str, split: str) -> List[Path]:
        """The file with the translations, and that with the transcripts where there is one."""
        path, spoken = self.listing(language, split), self._spoken(language, split)
        if not path.is_file():
            raise DataError(f"{path}: {missing(path)}")
        return [path, *([spoken] if spoken else [])]

    def place(self, language: str, split: str, line: int) -> str:
        """A line of the translations."""
        return f"{self.listing(language, split)}, line {line}"

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        marks, unread = read_marks(self.listing(language, split))
        spoken = self._spoken(language, split)
        said = {mark.place: mark.text for mark in read_marks(spoken)[0]} if spoken else {}
        channels: Dict[str, Set[str]] = {}
        for mark in marks:
            channels.setdefault(mark.file, set()).add(mark.channel)
        segments, wrong = [], dict(unread)
        for mark in marks:
            where = self.place(language, split, mark.line)
            try:
                wav = _with_channel(mark, channels[mark.file], where)
                self._check_audio(mark.file, where)
            except DataError as error:
                wrong[mark.line] = str(error)
                continue
            source = said.get(mark.place, "")
            times = mark.start, mark.end - mark.start
            segments.append(Segment(wav, *times, mark.speaker, source, mark.text, mark.line))
        return segments, wrong

    def wav(self, language: str, split: str, name: str) -> Path:
        """The audio of a name, of any format that can be read."""
        name = name.split("\t")[0]
        found = self._audio.get(name, self._audio.get(Path(name).stem, []))
        return found[0] if found else self.root / f"{name}.wav"

    def channel(self, name: str) -> Optional[int]:
        """Where a file is marked channel by channel, each by itself."""
        _, tab, channel = name.partition("\t")
        return int(channel) if tab else None

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether there are STM files where they are looked for."""
        return any(next(root.glob(place), None) for place in _PLACES)

    def _pair_of(self, named: _Named) -> Optional[Tuple[str, str]]:
        if named.source:
            return named.source, named.language
        if self.is_many_to_one or same_code(named.language, self.source):
            return None
        return self.source, named.language

    def _file(self, language: str, split: str) -> Optional[Path]:
        pair = self.written(language)
        return next(
            (
                path
                for named, path in self._stms.items()
                if named.split == split and self._pair_of(named) == pair
            ),
            None,
        )

    def _spoken(self, language: str, split: str) -> Optional[Path]:
        source, _ = self.written(language)
        return next(
            (
                path
                for named, path in self._stms.items()
                if named.split == split and not named.source and same_code(named.language, source)
            ),
            None,
        )

    @functools.cached_property
    def _stms(self) -> Dict[_Named, Path]:
        found: Dict[_Named, Tuple[int, Path]] = {}
        for path in sorted({path for place in _PLACES for path in self.root.glob(place)}):
            named, variant = _named(path)
            known = found.get(named) if named else None
            if named and (known is None or variant < known[0]):
                found[named] = variant, path
        return {named: path for named, (_, path) in found.items()}

    @functools.cached_property
    def _audio(self) -> Dict[str, List[Path]]:
        """Name without ending -> files called so."""
        found: Dict[str, List[Path]] = {}
        seen = set()
        for folder, folders, names in os.walk(self.root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link to what is above it
                folders.clear()
                continue
            seen.add(real)
            folders.sort()
            for name in sorted(names):
                stem, ending = os.path.splitext(name)
                if ending.lower() in _AUDIO:
                    found.setdefault(stem, []).append(Path(folder, name))
        return found

    def _check_audio(self, name: str, where: str) -> None:
        found = self._audio.get(name, self._audio.get(Path(name).stem, []))
        if not found:
            raise DataError(f"{where}: no audio called {shortened(name)} below {self.root}")
        readable = [path for path in found if path.suffix.lower() not in CONVERTED]
        if len(readable) > 1:
            raise DataError(f"{where}: both {readable[0]} and {readable[1]} are called so")


LAYOUT = STM


def _named(path: Path) -> Tuple[Optional[_Named], int]:
    """What a file's name says, and which variant it is."""
    split, source, language, variant = "", "", "", ""
    for part in path.name[: -len(".stm")].split("."):
        pair = _PAIR.match(part)
        own = part[len("asr-") :] if part.startswith("asr-") else part
        if pair:
            source, language = pair.group("source"), pair.group("target")
        elif _SPLIT.match(part):
            split = part
        elif part in _VARIANTS:
            variant = part
        elif is_code(own):
            language = own
    if not split and path.parent.name not in ("stm", ""):
        split = path.parent.name
    if not (split and language):
        return None, 0
    return _Named(split, source, language), _VARIANTS.index(variant)


def _read_marks(path: Path) -> Tuple[List[_Mark], Dict[int, str]]:
    """Read the segments of an STM file, and of lines that are none why not.

    Comments, and what scoring is to ignore, are left out.
    """
    marks, wrong = [], {}
    for number, line in enumerate(iter_lines(path), 1):
        if not line.strip() or line.lstrip().startswith(";;"):
            continue
        try:
            mark = _mark(line, number, f"{path}, line {number}")
        except DataError as error:
            wrong[number] = str(error)
            continue
        if mark.is_said:
            marks.append(mark)
    return marks, wrong


read_marks = remembered(_read_marks)


def _mark(line: str, number: int, where: str) -> _Mark:
    cells = line.split("\t", 5) if line.count("\t") > 3 else line.split(None, 5)
    if len(cells) < 5:
        raise DataError(
            f"{where}: expected file, channel, speaker, start, end and text, found "
            f"{len(cells)} of them"
        )
    file, channel, speaker, *times = (cell.strip() for cell in cells[:5])
    start, end = (seconds(found, name, where) for found, name in zip(times, ("start", "end")))
    text = _LABEL.sub("", cells[5].strip()).strip() if len(cells) > 5 else ""
    mark = _Mark(number, file, channel, speaker, start, end, text)
    if mark.is_said and end < start:
        raise DataError(f"{where}: ends at {end:.2f} s, before it begins, at {start:.2f} s")
    return mark


def _with_channel(mark: _Mark, channels: Set[str], where: str) -> str:
    """The name of audio: with a channel where those of a file are marked each by itself."""
    if len(channels) == 1:
        return mark.file
    if mark.channel.isascii() and mark.channel.isdigit():
        number = int(mark.channel) - ("0" not in channels)
    elif len(mark.channel) == 1 and mark.channel.upper() in "ABCDEFGH":
        number = "ABCDEFGH".index(mark.channel.upper())
    else:
        raise DataError(
            f"{where}: expected channel 1, 2 or A, B, found '{shortened(mark.channel)}'"
        )
    return f"{mark.file}\t{number}"
