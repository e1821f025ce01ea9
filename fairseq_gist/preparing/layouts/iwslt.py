"""Data of IWSLT's low-resource track: a folder a pair of languages, one below it for each split.

``taq_fra_clean/train/{txt,wav}`` has ``txt/train.yaml`` as MuST-C has; ``ga-eng/train/stamped.tsv``
(without header: file, offset, duration) has the same, and where there is neither, ``txt/segments``
(file, speaker, offset, duration). Texts are ``txt/train.fra``; most languages have none of what is
said.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.files import iter_lines, missing
from fairseq_gist.languages.codes import is_code, same_code
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import (
    checked_name,
    find_audio,
    in_order,
    lines_of,
    seconds,
)
from fairseq_gist.preparing.segment_list import read_segment_list

__all__ = ["IWSLT", "LAYOUT"]


class _List(NamedTuple):
    """A list of segments without header, a line each."""

    cells: Callable[[str], List[str]]
    keys: Tuple[str, ...]
    expected: str


_LISTS = {
    "stamped.tsv": _List(
        lambda line: line.split("\t"),
        ("wav", "offset", "duration"),
        "file, offset and duration with tabs between",
    ),
    "segments": _List(
        lambda line: line.rsplit(None, 3),
        ("wav", "speaker_id", "offset", "duration"),
        "file, speaker, offset and duration with spaces between",
    ),
}


@dataclass(frozen=True)
class IWSLT(Paired):
    """Paths below the root: the folder of one pair, or one that has several."""

    name = "iwslt"
    summary = "XX_YY/SPLIT/{txt,wav} with txt/SPLIT.yaml, txt/segments or stamped.tsv, below ROOT"

    def splits(self) -> Tuple[str, ...]:
        """Those that have translations, as every pair calls its own."""
        folders = self._pairs.items()
        found = {
            path.name
            for (source, target), folder in folders
            if self.is_asked(source, target)
            for path in folder.iterdir()
            if path.is_dir() and _listing(path) and _text(path, target)
        }
        return in_order(found, self.root)

    def pairs(self) -> Iterable[Tuple[str, str]]:
        """By the names of folders and texts."""
        return self._pairs

    def split(self, language: str, split: str) -> Path:
        """The folder of a split."""
        return self._pairs.get(self.written(language), self.root) / split

    def has(self, language: str, split: str) -> bool:
        """Whether there is a folder of the split."""
        return self.split(language, split).is_dir()

    def listing(self, language: str, split: str) -> Path:
        """``txt/SPLIT.yaml``, ``stamped.tsv`` or ``txt/segments``."""
        folder = self.split(language, split)
        return _listing(folder) or folder / "txt" / f"{split}.yaml"

    def files(self, language: str, split: str) -> List[Path]:
        """The list of segments and the texts."""
        listing, (source, target) = self.listing(language, split), self._texts(language, split)
        if not listing.is_file():
            raise DataError(f"{listing}: {missing(listing)}")
        if target is None:
            wanted = f"{split}.{self.written(language)[1]}"
            raise DataError(f"{self.split(language, split) / 'txt' / wanted}: no such file")
        return [listing, *([source] if source else []), target]

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        listing, *_, target = self.files(language, split)
        source, _ = self._texts(language, split)
        entries = read_segment_list(listing) if listing.suffix == ".yaml" else _listed(listing)
        sources = [""] * len(entries) if source is None else lines_of(source, listing, len(entries))
        texts = sources, lines_of(target, listing, len(entries))
        segments, wrong = [], {}
        for number, (entry, *said) in enumerate(zip(entries, *texts), 1):
            try:
                segments.append(_segment(entry, listing, number, *said))
            except DataError as error:
                wrong[number] = str(error)
        return segments, wrong

    def wav(self, language: str, split: str, name: str) -> Path:
        """The audio, which some lists name without ending and others with its folder."""
        folder = self.split(language, split)
        return find_audio([folder / "wav", folder], name)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether there are splits of a pair in it or below."""
        folders = _pair_folders(root)  # below "data", MuST-C's and mTEDx' are alike
        return any(one.name != "data" or (one / "train/stamped.tsv").is_file() for one in folders)

    @functools.cached_property
    def _pairs(self) -> Dict[Tuple[str, str], Path]:
        found: Dict[Tuple[str, str], Path] = {}
        for folder in _pair_folders(self.root):
            for pair in self._pairs_of(folder):
                if pair in found:
                    raise DataError(
                        f"{self.root}: {found[pair].name} and {folder.name} are both "
                        f"{'-'.join(pair)}; name the one that is meant as ROOT"
                    )
                found[pair] = folder
        return found

    def _pairs_of(self, folder: Path) -> Iterable[Tuple[str, str]]:
        written = sorted(
            path.suffix[1:]
            for path in folder.glob("train/txt/train.*")
            if path.stem == "train" and is_code(path.suffix[1:])
        )
        name = _pair_of(folder.resolve())
        if name is None:
            return [(self.source, one) for one in written if not same_code(one, self.source)]
        return [(name[0], one) for one in written if same_code(one, name[1])]

    def _texts(self, language: str, split: str) -> Tuple[Optional[Path], Optional[Path]]:
        """The texts of what is said, which most don't have, and of its translation."""
        folder, (source, target) = self.split(language, split), self.written(language)
        return _text(folder, source), _text(folder, target)


LAYOUT = IWSLT


def _pair_folders(root: Path) -> List[Path]:
    below = (sorted(root.glob(pattern)) for pattern in ("*", "data/*", "*/data"))
    folders = dict.fromkeys([root, root / "data", *(one for some in below for one in some)])
    return [one for one in folders if (one / "train").is_dir() and _listing(one / "train")]


def _pair_of(folder: Path) -> Optional[Tuple[str, str]]:
    """Two codes side by side in a folder's name: ``taq_fra_clean``, ``iwslt2023_ga-eng``."""
    name = folder.parent.name if folder.name == "data" else folder.name
    parts = re.split(r"[-_.]", name)
    return next((two for two in zip(parts, parts[1:]) if all(map(is_code, two))), None)


def _listing(folder: Path) -> Optional[Path]:
    text = folder / "txt"
    paths = (text / f"{folder.name}.yaml", folder / "stamped.tsv", text / "segments")
    return next((path for path in paths if path.is_file()), None)


def _text(folder: Path, language: str) -> Optional[Path]:
    """The text in a language, called as the split or, where there is one only, otherwise.

    ``train.fra.tok`` and ``train.spa.tc`` are made of it.
    """
    there = [path for path in sorted(folder.glob("txt/*.*")) if is_code(path.suffix[1:])]
    there = [path for path in there if not Path(path.stem).suffix]
    own = [path for path in there if same_code(path.suffix[1:], language)]
    named = [path for path in own if path.stem == folder.name]
    if named:
        return named[0]
    return own[0] if len(own) == 1 else None


def _listed(path: Path) -> List[Dict[str, str]]:
    """The entries of a list without header."""
    form, entries = _LISTS[path.name], []
    for line in iter_lines(path):
        cells = form.cells(line)
        is_whole = len(cells) == len(form.keys)
        entries.append(dict(zip(form.keys, cells)) if is_whole else {"line": line})
    return entries


def _segment(
    entry: Dict[str, str], listing: Path, number: int, source: str, target: str
) -> Segment:
    where = f"{listing}: segment {number}"
    if "line" in entry and listing.name in _LISTS:
        expected = _LISTS[listing.name].expected
        raise DataError(f"{where}: expected {expected}, found '{shortened(entry['line'])}'")
    wav = checked_name(entry.get("wav", ""), where)
    offset, duration = (seconds(entry.get(key, ""), key, where) for key in ("offset", "duration"))
    return Segment(wav, offset, duration, entry.get("speaker_id", ""), source, target, number)
