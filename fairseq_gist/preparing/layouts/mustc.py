"""The MuST-C release layout, in which open corpora are written too.

``ROOT/en-XX/data/SPLIT/txt/SPLIT.yaml`` is a list of segments (duration, offset, speaker_id,
wav), ``SPLIT.en`` and ``SPLIT.XX`` beside it have one line a segment, and ``wav/`` one file a
talk. Data of many languages into one are laid out alike, below ``ROOT/XX-en``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import missing, replacing
from fairseq_gist.languages.codes import readings
from fairseq_gist.preparing.layouts.base import CheckedLayout, Segment
from fairseq_gist.preparing.layouts.paired import choice
from fairseq_gist.preparing.layouts.reading import checked_name, find_audio, lines_of, seconds
from fairseq_gist.preparing.published import looks_like
from fairseq_gist.preparing.segment_list import read_segment_list, yaml_text

__all__ = ["LAYOUT", "MustC", "segment_of", "write_split"]


@dataclass(frozen=True)
class MustC(CheckedLayout):
    """Paths below the root of data in the MuST-C layout."""

    name = "mustc"
    summary = "ROOT/en-XX/data/SPLIT/{txt,wav}, or XX-en with --target en"

    def folder(self, language: str) -> str:
        """The name of a language's folder: ``en-de``, or ``de-en``."""
        return "-".join(self.pair(language))

    def languages(self) -> List[str]:
        """The languages there are, sorted; raises where there is none."""
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder")
        found = _languages_in(self)
        if not found:
            expected = (
                f"not in the layout {self.name}: expected {self.folder('XX')}/data, found none"
            )
            pairs = _pairs_in(self.root)
            hints = [choice(pairs) if pairs else "", looks_like(self.root, self.name)]
            raise DataError("; ".join([f"{self.root}: {expected}", *filter(None, hints)]))
        return found

    def split(self, language: str, split: str) -> Path:
        """The folder of a split."""
        return _named(self.root, self.folder(language)) / "data" / split

    def text(self, language: str, split: str, extension: str) -> Path:
        """``SPLIT.yaml``, ``SPLIT.en`` or ``SPLIT.XX``."""
        return _named(self.split(language, split) / "txt", f"{split}.{extension}")

    def has(self, language: str, split: str) -> bool:
        """Whether there is a folder of the split."""
        return self.split(language, split).is_dir()

    def files(self, language: str, split: str) -> List[Path]:
        """The three text files of a split; two where nobody has written down what is said."""
        transcript, translation = self.texts(language, split)
        files = [self.listing(language, split), translation]
        for path in files:
            if not path.is_file():
                raise DataError(f"{path}: {missing(path)}")
        return [files[0], *([transcript] if transcript.is_file() else []), files[1]]

    def texts(self, language: str, split: str) -> List[Path]:
        """The files of transcripts, which there may be none of, and of translations."""
        return [self.text(language, split, name) for name in self.pair(language)]

    def listing(self, language: str, split: str) -> Path:
        """``SPLIT.yaml``."""
        return self.text(language, split, "yaml")

    def wav(self, language: str, split: str, name: str) -> Path:
        """The audio of a talk; mTEDx lists wav files and has them as FLAC."""
        return find_audio([self.split(language, split) / "wav"], name)

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        path = self.listing(language, split)
        entries = read_segment_list(path)
        transcript, translation = self.texts(language, split)
        count, sources = len(entries), [""] * len(entries)
        if transcript.is_file():
            sources = lines_of(transcript, path, count)
        texts = sources, lines_of(translation, path, count)
        segments, wrong = [], {}
        for number, (entry, source, target) in enumerate(zip(entries, *texts), 1):
            try:
                segments.append(segment_of(entry, path, number, source, target))
            except DataError as error:
                wrong[number] = str(error)
        return segments, wrong


LAYOUT = MustC


def _named(folder: Path, name: str) -> Path:
    """What is called so in a folder, in another case or with other separators if need be."""
    path = folder / name
    if path.exists() or not folder.is_dir():
        return path
    return next(
        (one for one in sorted(folder.iterdir()) if _folded(one.name) == _folded(name)), path
    )


def _folded(name: str) -> str:
    return name.replace("_", "-").casefold()


def _languages_in(layout: MustC) -> List[str]:
    before, after = map(_folded, layout.folder("/").split("/"))
    return sorted(
        path.name[len(before) : len(path.name) - len(after)]
        for path in layout.root.iterdir()
        if _folded(path.name).startswith(before)
        and _folded(path.name).endswith(after)
        and len(path.name) > len(before) + len(after)
        and (path / "data").is_dir()
    )


def _pairs_in(root: Path) -> List[Tuple[str, str]]:
    """The languages of all folders that are called by two."""
    names = sorted(path.parent.name for path in root.glob("*-*/data"))
    return [(pair[0], pair[1]) for name in names for pair in readings(name) if len(pair) == 2]


def write_split(layout: MustC, language: str, split: str, segments: Sequence[Segment]) -> None:
    """Write the three text files of a split; the audio is the caller's."""
    source, target = layout.pair(language)
    columns = {
        "yaml": [_yaml_line(segment) for segment in segments],
        source: [_text_line(segment.source) for segment in segments],
        target: [_text_line(segment.target) for segment in segments],
    }
    for extension, lines in columns.items():
        with replacing(layout.text(language, split, extension)) as path:
            path.write_bytes("".join(lines).encode())


def _text_line(text: str) -> str:
    return " ".join(text.split()) + "\n"


def _yaml_line(segment: Segment) -> str:
    return (
        f"- {{duration: {segment.duration:.6f}, offset: {segment.offset:.6f}, "
        f"rW: {len(segment.source.split())}, uW: 0, "
        f"speaker_id: {yaml_text(segment.speaker)}, wav: {yaml_text(segment.wav)}}}\n"
    )


def segment_of(
    entry: Mapping[str, str], path: Path, number: int, source: str, target: str
) -> Segment:
    """The segment of an entry of a list, with its text; raises DataError where it isn't one."""
    where = f"{path}: segment {number}"
    offset, duration = (seconds(entry.get(key, ""), key, where) for key in ("offset", "duration"))
    wav = checked_name(entry.get("wav", ""), where)
    if Path(wav).name != wav:
        raise DataError(f"{where}: wav should be a file name, found '{shortened(wav)}'")
    return Segment(wav, offset, duration, entry.get("speaker_id", ""), source, target, number)
