"""CoVoST 2: tables of translations, to be read beside the Common Voice that they are of.

``covost_v2.XX_YY.tsv`` (``path``, ``translation``, ``split``), or the tables that the release's own
script makes of it (``covost_v2.XX_YY.SPLIT.tsv``, with ``sentence``), lie in the root, in ``XX`` or
``XX/raw``; so do Common Voice's ``validated.tsv`` and ``clips``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import (
    checked_name,
    find_audio,
    remembered,
    seconds_of,
)
from fairseq_gist.preparing.layouts.table import Table, read_rows

__all__ = ["LAYOUT", "CoVoST"]

_NAME = re.compile(
    r"^covost(_v2)?\.(?P<source>[A-Za-z-]+)_(?P<target>[A-Za-z-]+)(\.(?P<split>[\w-]+))?\.tsv$"
)
_ESCAPED = re.compile(r'\\(["\\])')
_REMOVED = re.compile(r"\bREMOVE\b")
"""In place of a translation, where there should be none."""

Tables = Dict[Tuple[str, str], Dict[str, Path]]
"""Pair -> split, empty for the table of all -> table."""


@dataclass(frozen=True)
class CoVoST(Paired):
    """Paths below the root of CoVoST 2."""

    name = "covost"
    summary = "covost_v2.XX_YY.tsv with Common Voice's validated.tsv and clips, in ROOT or ROOT/XX"

    def splits(self) -> Tuple[str, ...]:
        """Those of the release."""
        return ("train", "dev", "test")

    def pairs(self) -> Iterable[Tuple[str, str]]:
        """Of every table."""
        return self._tables

    def has(self, language: str, split: str) -> bool:
        """Whether a table has rows of the split."""
        return self.listing(language, split).is_file()

    def listing(self, language: str, split: str) -> Path:
        """The table of the split, or of all."""
        tables = self._tables.get(self.written(language), {})
        source, target = self.written(language)
        return tables.get(split) or tables.get("") or self.root / f"covost_v2.{source}_{target}.tsv"

    def files(self, language: str, split: str) -> List[Path]:
        """The table, and Common Voice's where the sentences stand there."""
        table = self.listing(language, split)
        if "sentence" in read_rows(table).header:
            return [table]
        return [table, self._validated(language)]

    def place(self, language: str, split: str, line: int) -> str:
        """A line of the table."""
        return f"{self.listing(language, split)}, line {line}"

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        table = read_rows(self.listing(language, split))
        sentences = self._sentences(table, language)
        segments, wrong = [], dict(table.wrong)
        for number, row in table.rows:
            if not _is_of(split, row.get("split")):
                continue
            where, name = self.place(language, split, number), row["path"]
            try:
                if Path(checked_name(name, where, "path")).name != name:
                    raise DataError(f"{where}: path should be a clip, found '{shortened(name)}'")
                duration = self._duration(language, split, name, where)
            except DataError as error:
                wrong[number] = str(error)
                continue
            source, speaker = sentences.get(name, ("", row.get("client_id", "")))
            if "sentence" in row:
                source = _text(row["sentence"])
            target = _text(row["translation"])
            target = "" if _REMOVED.search(target) else target
            segments.append(Segment(name, 0.0, duration, speaker, source, target, number))
        return segments, wrong

    def wav(self, language: str, split: str, name: str) -> Path:
        """A clip; earlier releases of Common Voice name it without ``.mp3``."""
        folders = [folder / "clips" for folder in self._folders(language)]
        return find_audio([one for one in folders if one.is_dir()] or folders[:1], name)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether a table of CoVoST is in it or below."""
        patterns = ("covost*.tsv", "*/covost*.tsv", "*/raw/covost*.tsv")
        return any(_NAME.match(path.name) for one in patterns for path in root.glob(one))

    @functools.cached_property
    def _tables(self) -> Tables:
        found: Tables = {}
        for pattern in ("covost*.tsv", "*/covost*.tsv", "*/raw/covost*.tsv"):
            for path in sorted(self.root.glob(pattern)):
                match = _NAME.match(path.name)
                if match:
                    pair = match.group("source"), match.group("target")
                    found.setdefault(pair, {}).setdefault(match.group("split") or "", path)
        return found

    def _folders(self, language: str) -> List[Path]:
        """Where Common Voice may be, of the language that is spoken."""
        source, _ = self.written(language)
        tables = self._tables.get(self.written(language), {})
        own = [self.root / source, self.root / source / "raw"]
        beside = [path.parent for path in tables.values()]
        return list(dict.fromkeys([*own, *beside, self.root]))

    def _validated(self, language: str) -> Path:
        paths = [folder / "validated.tsv" for folder in self._folders(language)]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            raise DataError(
                f"{paths[-1]}: no such file, which has the sentences of CoVoST's clips: it comes "
                "with Common Voice 4"
            )
        return found

    def _sentences(self, table: Table, language: str) -> Dict[str, Tuple[str, str]]:
        own = {"sentence", "split"} & set(table.header)
        if not own or not {"path", "translation"} <= set(table.header):
            raise table.expected("path, translation and split")
        return {} if "sentence" in own else _spoken(self._validated(language))

    def _duration(self, language: str, split: str, name: str, where: str) -> float:
        path = self.wav(language, split, name)
        if not path.is_file():
            raise DataError(f"{where}: there is no {path}")
        return seconds_of(path)


LAYOUT = CoVoST


def _is_of(split: str, cell: Optional[str]) -> bool:
    """Whether a row is of a split: CoVoST has more to train on than Common Voice has."""
    return cell is None or cell == split or (split == "train" and cell == "train_covost")


def _text(cell: str) -> str:
    """A sentence as it was before pandas wrote it without quoting."""
    return _ESCAPED.sub(r"\1", cell)


def _read_spoken(path: Path) -> Dict[str, Tuple[str, str]]:
    """Clip -> sentence, speaker."""
    table = read_rows(path)
    if not {"path", "sentence"} <= set(table.header):
        raise table.expected("client_id, path and sentence")
    return {
        row["path"]: (_text(row["sentence"]), row.get("client_id", "")) for _, row in table.rows
    }


_spoken = remembered(_read_spoken)
