"""A folder that is made in one go or in several: what it is made with, and whether it is done.

``.work`` below it holds what is unfinished, with the options it is for; the record, written last,
says that all is there. Another run with the same options goes on, or has nothing to do; to one with
others :meth:`Making.check_same` says no, so that files of two runs are never mixed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, Mapping, Optional, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_object, replacing

__all__ = ["Making"]


@dataclass(frozen=True)
class Making:
    """The making of one folder."""

    folder: Path
    record_name: str
    """Name of the record, such as ``corpus.json``."""
    made: str
    """How the folder came about, for errors: "holds a corpus made"."""
    way_out: str
    """What to do where it is another one: "choose another folder or remove it"."""
    writes: Tuple[str, ...]
    """Patterns of what it writes: below a folder that isn't begun there is none of it."""

    @property
    def work(self) -> Path:
        """Where unfinished files are."""
        return self.folder / ".work"

    @property
    def is_begun(self) -> bool:
        """Whether there are unfinished files of ours."""
        return self._options.is_file()

    def record(self, required: Mapping[str, type]) -> Optional[Dict[str, Any]]:
        """Return what the record says, None where the folder isn't finished.

        Args:
            required: keys that a record has, with the type of each.

        Raises:
            DataError: where the record is damaged, or none of ours.
        """
        path = self.folder / self.record_name
        if not path.is_file():
            return None
        return self._read(path, required)

    def check_same(
        self,
        found: Mapping[str, Any],
        wanted: Mapping[str, Any],
        names: Optional[Collection[str]] = None,
    ) -> None:
        """Raise DataError unless ``found`` has what is wanted, and nothing else.

        Args:
            found: the options that a folder was made with.
            wanted: those that are asked for.
            names: of all options that there can be, where ``found`` has more than options, as a
                record does; None: everything that is found, or wanted.
        """
        for key in (*wanted, *found) if names is None else names:
            has, wants = (_short(one[key]) if key in one else "none" for one in (found, wanted))
            if found.get(key) != wanted.get(key) or (key in found) != (key in wanted):
                raise DataError(
                    f"{self.folder}: {self.made} with {key} {has}, wanted {wants}; {self.way_out}"
                )

    def begin(self, options: Mapping[str, Any]) -> None:
        """Note what the unfinished files are for, or raise DataError where they are for others."""
        before = self.unfinished()
        if before is not None:
            self.check_same(before, options)
        else:
            self.note(options)

    def unfinished(self) -> Optional[Dict[str, Any]]:
        """Return what was noted of unfinished files, None where there are none of ours.

        Raises:
            DataError: where the note is damaged, or none of ours.
        """
        return self._read(self._options, {}) if self.is_begun else None

    def note(self, content: Mapping[str, Any]) -> None:
        """Note what there is to know of the files that are going to be unfinished.

        Raises:
            DataError: where files would be written over that no run of this command has made.
        """
        found = sorted(path for pattern in self.writes for path in self.folder.glob(pattern))
        if found and not self.is_begun:
            raise DataError(
                f"{self.folder}: {found[0].relative_to(self.folder)} is there, which this command "
                f"didn't make and would write over; {self.way_out}"
            )
        with replacing(self._options) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def finish(self, record: Mapping[str, Any]) -> None:
        """Write the record and remove what is unfinished."""
        with replacing(self.folder / self.record_name) as path:
            path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        self.sweep()

    def sweep(self) -> None:
        """Remove what is unfinished."""
        shutil.rmtree(self.work, ignore_errors=True)

    @property
    def _options(self) -> Path:
        return self.work / "options.json"

    def _read(self, path: Path, required: Mapping[str, type]) -> Dict[str, Any]:
        try:
            found = read_object(path, "what a run of this command wrote")
        except DataError as error:
            raise DataError(f"{error}; {self.way_out}") from error
        for key, kind in required.items():
            if not isinstance(found.get(key), kind):
                raise DataError(
                    f"{path}: expected what a run of this command wrote, found no '{key}' as it "
                    f"has; {self.way_out}"
                )
        return found


def _short(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
