"""Europarl-ST: speeches of one language, cut into sentences for each language they are put into.

``ROOT/XX/audios`` has the speeches, ``ROOT/XX/YY/SPLIT/segments.lst`` is a line ``speech start
end`` a segment, ``segments.XX`` and ``segments.YY`` have the text of each; ``speeches.lst`` and
``speakers.lst`` say who speaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.files import missing, read_lines
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import (
    checked_name,
    find_audio,
    lines_of,
    seconds,
)
from fairseq_gist.sound.audio import CONVERTED

__all__ = ["LAYOUT", "EuroparlST"]

_AUDIO = ("audios", "audios_wav", "audios_flac")
"""Where the speeches are, and where people put those that they have converted."""


@dataclass(frozen=True)
class EuroparlST(Paired):
    """Paths below the root of Europarl-ST, which is the folder ``v1.1`` or the one above."""

    name = "europarl-st"
    summary = "ROOT/XX/audios and ROOT/XX/YY/SPLIT/segments.{lst,XX,YY}"

    def splits(self) -> Tuple[str, ...]:
        """Those of the release; ``train-noisy`` is one more."""
        return ("train", "dev", "test")

    def pairs(self) -> Iterator[Tuple[str, str]]:
        """Of every folder that is trained on."""
        for path in self._top.glob("*/*/train/segments.lst"):
            yield path.parts[-4], path.parts[-3]

    def split(self, language: str, split: str) -> Path:
        """The folder of a split."""
        return self._top.joinpath(*self.written(language), split)

    def has(self, language: str, split: str) -> bool:
        """Whether there is a folder of the split."""
        return self.split(language, split).is_dir()

    def listing(self, language: str, split: str) -> Path:
        """``segments.lst``."""
        return self.split(language, split) / "segments.lst"

    def files(self, language: str, split: str) -> List[Path]:
        """The list of segments, both texts, and the two files that say who speaks, if there."""
        folder = self.split(language, split)
        texts = [folder / f"segments.{name}" for name in self.written(language)]
        for path in (self.listing(language, split), *texts):
            if not path.is_file():
                raise DataError(f"{path}: {missing(path)}")
        said = [folder / "speeches.lst", folder / "speakers.lst"]
        return [self.listing(language, split), *texts, *(path for path in said if path.is_file())]

    def place(self, language: str, split: str, line: int) -> str:
        """A line of ``segments.lst``."""
        return f"{self.listing(language, split)}, line {line}"

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        listing, *texts = self.files(language, split)[:3]
        lines = _without_end(read_lines(listing))
        sources, targets = (lines_of(path, listing, len(lines)) for path in texts)
        self._check_format(language, lines)
        speakers = self._speakers(language, split)
        segments, wrong = [], {}
        for number, (line, source, target) in enumerate(zip(lines, sources, targets), 1):
            where = self.place(language, split, number)
            try:
                speech, start, end = _times(line, where)
            except DataError as error:
                wrong[number] = str(error)
                continue
            speaker = speakers.get(speech, "")
            segments.append(Segment(speech, start, end - start, speaker, source, target, number))
        return segments, wrong

    def wav(self, language: str, split: str, name: str) -> Path:
        """A speech, of whichever format that can be read."""
        return find_audio(self._audio(language), name)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether it has lists of segments where Europarl-ST has them."""
        patterns = ("*/*/train/segments.lst", "v1.1/*/*/train/segments.lst")
        return any(next(root.glob(pattern), None) for pattern in patterns)

    @property
    def _top(self) -> Path:
        inner = self.root / "v1.1"
        return inner if inner.is_dir() else self.root

    def _audio(self, language: str) -> List[Path]:
        return [self._top / self.written(language)[0] / name for name in _AUDIO]

    def _check_format(self, language: str, lines: List[str]) -> None:
        """Say once, not for every segment, that the speeches are as they were published."""
        folder = self._audio(language)[0]
        there = folder.iterdir() if folder.is_dir() else ()
        unread = {path.stem: path for path in there if path.suffix.lower() in CONVERTED}
        named = {line.split()[0] for line in lines if line.split()}
        if any(one in unread and not self.wav(language, "", one).is_file() for one in named):
            ending = next(iter(unread.values())).suffix
            made = f'ffmpeg -nostdin -i "$f" -ac 1 -ar 16000 "${{f%{ending}}}.flac"'
            raise DataError(
                f"{folder}: its speeches are {ending}, which isn't read here; convert them: "
                f"for f in *{ending}; do {made}; done"
            )

    def _speakers(self, language: str, split: str) -> Dict[str, str]:
        folder = self.split(language, split)
        paths = [folder / "speeches.lst", folder / "speakers.lst"]
        if not all(path.is_file() for path in paths):
            return {}
        speeches, speakers = (_without_end(read_lines(path)) for path in paths)
        if len(speeches) != len(speakers):
            raise DataError(
                f"{paths[1]}: {len(speakers)} lines, but speeches.lst has {len(speeches)}"
            )
        return dict(zip(map(str.strip, speeches), map(str.strip, speakers)))


LAYOUT = EuroparlST


def _without_end(lines: List[str]) -> List[str]:
    """Lines without empty ones at the end, where none is listed."""
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return lines


def _times(line: str, where: str) -> Tuple[str, float, float]:
    parts = line.split()
    if len(parts) != 3:
        raise DataError(f"{where}: expected speech, start and end, found {len(parts)} words")
    start, end = seconds(parts[1], "start", where), seconds(parts[2], "end", where)
    if end < start:
        raise DataError(f"{where}: ends at {end:.2f} s, before it begins, at {start:.2f} s")
    return checked_name(parts[0], where, "speech"), start, end
