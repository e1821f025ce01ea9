"""Plain tables with a row a translation: audio, text and its language, in any order of columns.

``ROOT/SPLIT.tsv`` is a split; one table with a column ``split`` may have all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.languages.codes import canonical_code, same_code
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import find_audio, in_order, seconds, seconds_of
from fairseq_gist.preparing.layouts.table import Table, read_rows

__all__ = ["LAYOUT", "TSV"]

_AUDIO = ("audio", "path", "wav", "file", "audio_path", "audio_filepath", "filename")
_TARGET = ("tgt_text", "translation", "target_text", "text")
_TARGET_LANGUAGE = ("tgt_lang", "target_lang", "target_language", "lang", "language")
_SOURCE = ("src_text", "source_text", "transcript", "transcription", "sentence", "text")
_SOURCE_LANGUAGE = ("src_lang", "source_lang", "source_language", "lang", "language")
_SPEAKER = ("speaker", "speaker_id", "client_id")
_OFFSET, _DURATION, _END, _SPLIT = ("offset", "start"), ("duration",), ("end",), ("split",)

_FOLDERS = ("", "wav", "audio", "audios", "clips")
_EXPECTED = "audio, text (or tgt_text, translation) and lang (or tgt_lang)"


@dataclass(frozen=True)
class _Columns:
    """Which column of a table has what; None where none has."""

    audio: Optional[str]
    target: Optional[str]
    target_language: Optional[str]
    source: Optional[str]
    source_language: Optional[str]
    speaker: Optional[str]
    offset: Optional[str]
    duration: Optional[str]
    end: Optional[str]
    split: Optional[str]

    @classmethod
    def of(cls, table: Table) -> _Columns:
        """By their names, in any case; each column is taken for one thing."""
        there = {name.casefold(): name for name in reversed(table.header)}
        names: Tuple[Tuple[str, ...], ...] = (
            *(_AUDIO, _TARGET, _TARGET_LANGUAGE, _SOURCE, _SOURCE_LANGUAGE),
            *(_SPEAKER, _OFFSET, _DURATION, _END, _SPLIT),
        )
        found = []
        for some in names:
            name = next((one for one in some if one in there), "")
            found.append(there.pop(name, None))
        return cls(*found)

    @property
    def are_enough(self) -> bool:
        """Whether there is audio, and a text whose language is told."""
        return None not in (self.audio, self.target, self.target_language)


@dataclass(frozen=True)
class TSV(Paired):
    """Tables in the root; codes of languages are read whatever their case and separators."""

    name = "tsv"
    summary = "ROOT/SPLIT.tsv with the columns audio, text, lang, in any order"

    def splits(self) -> Tuple[str, ...]:
        """Those of which there is a table, or that a table names."""
        tables = self._tables()
        if not tables:
            self._refuse()
        found = set()
        for table in tables:
            columns = _Columns.of(table)
            for _, row in table.rows:
                if self.is_asked(*self._pair(row, columns)):
                    found.add(row[columns.split].strip() if columns.split else table.path.stem)
        return in_order(found - {""}, self.root)

    def pairs(self) -> Iterable[Tuple[str, str]]:
        """Of every row."""
        tables = self._tables()
        if not tables:
            self._refuse()
        return {pair for table in tables for pair in self._pairs_of(table)}

    def has(self, language: str, split: str) -> bool:
        """Whether a row is of the language and split."""
        return any(True for _ in self._rows(language, split))

    def listing(self, language: str, split: str) -> Path:
        """The table of the split, or that of all."""
        path = self.root / f"{split}.tsv"
        if path.is_file():
            return path
        whole = (table.path for table in self._tables() if _Columns.of(table).split)
        return next(whole, path)

    def files(self, language: str, split: str) -> List[Path]:
        """The table."""
        return [self.listing(language, split)]

    def place(self, language: str, split: str, line: int) -> str:
        """A line of the table."""
        return f"{self.listing(language, split)}, line {line}"

    def segments(self, language: str, split: str) -> List[Segment]:
        """Every segment of a split in the order of its table."""
        segments, wrong = self.checked(language, split)
        if wrong:
            raise DataError(next(iter(wrong.values())))
        return segments

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        table = read_rows(self.listing(language, split))
        columns = _Columns.of(table)
        segments, wrong = [], dict(table.wrong)
        for number, row in self._rows(language, split):
            where = self.place(language, split, number)
            try:
                segments.append(self._segment(row, columns, where, number))
            except DataError as error:
                wrong[number] = str(error)
        language_column = columns.target_language or ""
        for number, row in table.rows:
            if not row.get(language_column, "").strip():
                wrong[number] = f"{self.place(language, split, number)}: no {language_column}"
        return segments, wrong

    def wav(self, language: str, split: str, name: str) -> Path:
        """A file by its whole path, or below the root."""
        return find_audio([self.root / folder for folder in _FOLDERS], name)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        """Whether it has a table with the columns that are needed."""
        return root.is_dir() and any(True for _ in _tables_in(root))

    def _tables(self) -> List[Table]:
        return list(_tables_in(self.root))

    def _refuse(self) -> None:
        """Say what the tables lack, if there are any."""
        for path in sorted(self.root.glob("*.tsv")):
            raise read_rows(path).expected(_EXPECTED)
        raise DataError(f"{self.root}: expected {self.summary}, found no .tsv")

    def _pair(self, row: Dict[str, str], columns: _Columns) -> Tuple[str, str]:
        spoken = row[columns.source_language].strip() if columns.source_language else ""
        target = row[columns.target_language or ""].strip()
        return canonical_code(spoken or self.source), canonical_code(target)

    def _pairs_of(self, table: Table) -> Iterator[Tuple[str, str]]:
        columns = _Columns.of(table)
        if self.is_many_to_one and not columns.source_language:
            raise table.expected(f"{_EXPECTED}, and with --target src_lang")
        for _, row in table.rows:
            pair = self._pair(row, columns)
            if pair[1]:
                yield pair

    def _rows(self, language: str, split: str) -> Iterator[Tuple[int, Dict[str, str]]]:
        path, asked = self.listing(language, split), self.pair(language)
        if not path.is_file():
            return
        table = read_rows(path)
        columns = _Columns.of(table)
        for number, row in table.rows:
            if columns.split and row[columns.split].strip() != split:
                continue
            if all(map(same_code, self._pair(row, columns), asked)):
                yield number, row

    def _segment(self, row: Dict[str, str], columns: _Columns, where: str, number: int) -> Segment:
        name = row[columns.audio or ""].strip()
        if ".zip:" in name or name.endswith(".npy"):
            raise DataError(
                f"{where}: {shortened(name)} is features, not audio; a manifest that was prepared "
                "before is for fairseq-train as it is"
            )
        path = self.wav("", "", name)
        if not name or not path.is_file():
            raise DataError(f"{where}: there is no {path}")

        def time(column: Optional[str]) -> Optional[float]:
            found = row[column].strip() if column else ""
            return seconds(found, str(column), where) if found else None

        start, length, end = time(columns.offset), time(columns.duration), time(columns.end)
        offset = start or 0.0
        if length is None:
            length = (seconds_of(path) if end is None else end) - offset
        if length < 0:
            raise DataError(f"{where}: ends at {offset + length:.2f} s, before it begins")
        speaker, source, target = (
            row[one] if one else "" for one in (columns.speaker, columns.source, columns.target)
        )
        return Segment(name, offset, length, speaker, source, target, number)


LAYOUT = TSV


def _tables_in(root: Path) -> Iterator[Table]:
    for path in sorted(root.glob("*.tsv")):
        table = read_rows(path)
        if _Columns.of(table).are_enough:
            yield table
