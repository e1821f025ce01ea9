"""Plain tables with a row a translation: audio, text and its language, in any order of columns.

``ROOT/SPLIT.tsv`` is a split; one table with a column ``split`` may have all. Where no column tells
the language, texts may be in columns that are called by theirs: ``audio``, ``Estonian``, ``en``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.languages.codes import canonical_code, language_named, same_code
from fairseq_gist.preparing.layouts.base import Segment
from fairseq_gist.preparing.layouts.paired import Paired
from fairseq_gist.preparing.layouts.reading import (
    checked_name,
    find_audio,
    in_order,
    seconds,
    seconds_of,
)
from fairseq_gist.preparing.layouts.table import Table, read_rows

__all__ = ["LAYOUT", "TSV"]

_AUDIO = ("audio", "path", "wav", "file", "audio_path", "audio_filepath", "filename", "file_name")
_TARGET = ("tgt_text", "translation", "target_text", "text")
_TARGET_LANGUAGE = ("tgt_lang", "target_lang", "target_language", "lang", "language")
_SOURCE = ("src_text", "source_text", "transcript", "transcription", "sentence", "text")
_SOURCE_LANGUAGE = ("src_lang", "source_lang", "source_language", "lang", "language")
_SPEAKER = ("speaker", "speaker_id", "client_id")
_OFFSET, _DURATION, _END, _SPLIT = ("offset", "start"), ("duration",), ("end",), ("split",)

_FOLDERS = ("", "wav", "audio", "audios", "clips")
_EXPECTED = (
    "audio, text (or tgt_text, translation) and lang (or tgt_lang), or audio and the names of two "
    "languages"
)
_NO_LANGUAGES = ("id", "no", "src")
"""Codes that more columns are called by than have a text in that language."""


@dataclass(frozen=True)
class _Columns:
    """Which column of a table has what; None where none has."""

    languages: Tuple[Tuple[str, str], ...]
    """(Language, column) of those that are called by a language."""
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
        languages = (
            (language_named(name), there[name])
            for name in sorted(there)
            if name not in _NO_LANGUAGES
        )
        return cls(tuple(one for one in languages if one[0]), *found)

    @property
    def are_enough(self) -> bool:
        """Whether there is audio, and a text whose language is told."""
        return self.audio is not None and (self.have_pairs or len(self.languages) > 1)

    @property
    def have_pairs(self) -> bool:
        """Whether each row is in a language that it tells; each column is otherwise."""
        return None not in (self.target, self.target_language)

    def column_of(self, language: str) -> str:
        """The column that is called by a language, or nothing."""
        return next((name for code, name in self.languages if same_code(code, language)), "")


class _Said(NamedTuple):
    """A translation of a row."""

    pair: Tuple[str, str]
    source: str
    target: str


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
                if any(self.is_asked(*said.pair) for said in self._said(row, columns)):
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

    def checked(self, language: str, split: str) -> Tuple[List[Segment], Dict[int, str]]:
        """The segments that are as they should be, and of the others by their line why not."""
        table = read_rows(self.listing(language, split))
        columns = _Columns.of(table)
        segments, wrong = [], dict(table.wrong)
        for number, row, said in self._rows(language, split):
            where = self.place(language, split, number)
            try:
                segments.append(self._segment(row, said, columns, where, number))
            except DataError as error:
                wrong[number] = str(error)
        for number, row in table.rows if columns.have_pairs else ():
            if not row[columns.target_language or ""].strip():
                wrong[number] = (
                    f"{self.place(language, split, number)}: no {columns.target_language}"
                )
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

    def _said(self, row: Dict[str, str], columns: _Columns) -> Iterator[_Said]:
        """Give the translations of a row, of one whose language isn't told with an empty one."""
        source = row[columns.source] if columns.source else ""
        spoken = row[columns.source_language].strip() if columns.source_language else ""
        if columns.have_pairs:
            target = row[columns.target_language or ""].strip()
            pair = canonical_code(spoken or self.source), canonical_code(target)
            yield _Said(pair, source, row[columns.target or ""])
            return
        spoken = canonical_code(spoken or self._spoken(columns))
        source = row.get(columns.column_of(spoken), source or row.get(columns.target or "", ""))
        for language, column in columns.languages:
            if not same_code(language, spoken) and row[column].strip():
                yield _Said((spoken, language), source, row[column])

    def _spoken(self, columns: _Columns) -> str:
        """What is spoken where no column tells: of two languages that which is not asked for."""
        if self.target is None:
            return self.source
        others = [one for one, _ in columns.languages if not same_code(one, self.target)]
        return others[0] if len(others) == 1 else ""

    def _pairs_of(self, table: Table) -> Iterator[Tuple[str, str]]:
        columns = _Columns.of(table)
        is_told = columns.source_language or (not columns.have_pairs and self._spoken(columns))
        if self.is_many_to_one and not is_told:
            raise table.expected(f"{_EXPECTED}, and with --target src_lang")
        for _, row in table.rows:
            yield from (said.pair for said in self._said(row, columns) if said.pair[1])

    def _rows(self, language: str, split: str) -> Iterator[Tuple[int, Dict[str, str], _Said]]:
        path, asked = self.listing(language, split), self.pair(language)
        if not path.is_file():
            return
        table = read_rows(path)
        columns = _Columns.of(table)
        for number, row in table.rows:
            if columns.split and row[columns.split].strip() != split:
                continue
            for said in self._said(row, columns):
                if all(map(same_code, said.pair, asked)):
                    yield number, row, said

    def _segment(
        self, row: Dict[str, str], said: _Said, columns: _Columns, where: str, number: int
    ) -> Segment:
        name = row[columns.audio or ""].strip()
        if ".zip:" in name or name.endswith(".npy"):
            raise DataError(
                f"{where}: {shortened(name)} is features, not audio; a manifest that was prepared "
                "before is for fairseq-train as it is"
            )
        path = self.wav("", "", checked_name(name, where, columns.audio or "audio"))
        if not path.is_file():
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
        speaker = row[columns.speaker] if columns.speaker else ""
        return Segment(name, offset, length, speaker, said.source, said.target, number)


LAYOUT = TSV


def _tables_in(root: Path) -> Iterator[Table]:
    for path in sorted(root.glob("*.tsv")):
        table = read_rows(path)
        if _Columns.of(table).are_enough:
            yield table
