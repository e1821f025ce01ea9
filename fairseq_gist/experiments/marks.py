"""What has been done, with which commands and from which files: one small JSON a step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError, shortened
from fairseq_gist.experiments.steps import Step
from fairseq_gist.files import read_object, replacing, sha256_of

__all__ = ["Marks", "State"]


class State(NamedTuple):
    """How far a step is."""

    is_done: bool
    conflict: str = ""
    """Why what is there can't be gone on from; empty where it can."""


class Marks:
    """The marks of an experiment's steps, below its folder.

    A step is done when a mark says so, all that it makes is there, its commands are those of the
    mark, and what it needs has the content it had then. What it needed may be gone by now.

    Args:
        out: the experiment's folder. Commands are compared without it: it may be moved.
        places: other folders that are left out of the comparison likewise, with their names.
    """

    def __init__(self, out: Path, places: Sequence[Tuple[str, str]]) -> None:
        self._folder = out / "done"
        self._places = [(out.as_posix(), "OUT"), *places]
        self._hashes: Dict[Tuple[str, int, int], str] = {}

    def normalised(self, commands: Sequence[Sequence[str]]) -> List[List[str]]:
        """Return commands in which folders that may differ have names."""
        return [[self._without_places(word) for word in command] for command in commands]

    def state(self, step: Step) -> State:
        """Tell whether a step is done, or was done otherwise.

        Raises:
            DataError: when a folder is in the place of a file that it makes.
        """
        for path in step.makes:
            if Path(path).is_dir():
                raise DataError(
                    f"{path} is a folder, expected the file that '{step}' makes; remove it"
                )
        mark = self._read(step)
        if mark is None:
            is_new = not self._folder.exists()
            others = [path for path in step.makes if is_new and Path(path).exists()]
            if others:
                return State(False, f"{others[0]} is there, and no experiment made it")
            return State(False)
        if not mark["done"] and not _has_left(step):
            return State(False)  # it failed at once, and its description may have been mended
        difference = _difference(mark["commands"], self.normalised(step.commands))
        if difference:
            return State(False, difference)
        needs = {self._without_places(path): path for path in step.needs}
        if needs.keys() != mark["inputs"].keys():
            was, now = (", ".join(sorted(paths)) for paths in (mark["inputs"], needs))
            return State(False, f"was made from {was or 'nothing'}, is from {now or 'nothing'}")
        for name, path in needs.items():
            if self._is_other(path, mark["inputs"][name]):
                return State(False, f"{path} is another one now")
        is_done = bool(mark["done"]) and all(Path(path).exists() for path in step.makes)
        return State(is_done)

    def is_new(self, step: Step) -> bool:
        """Tell whether a step that is to be done starts from nothing: it was never begun, or done.

        Otherwise it goes on from where it was stopped.
        """
        mark = self._read(step)
        return mark is None or bool(mark["done"])

    def begin(self, step: Step) -> None:
        """Note that a step has begun, so that nothing else goes on from what it leaves."""
        self._write(step, False, self.seconds(step))

    def end(self, step: Step, seconds: float, is_done: bool) -> None:
        """Note that a step has ended, and how long it took."""
        self._write(step, is_done, self.seconds(step) + seconds)

    def seconds(self, step: Step) -> float:
        """Return how long a step has taken so far, stopped attempts included."""
        mark = self._read(step)
        return float(mark["seconds"]) if mark else 0.0

    def forget(self, step: Step) -> None:
        """Remove the mark and all that the step made, or left beside."""
        for path in [*step.makes, str(self._path(step))]:
            Path(path).unlink(missing_ok=True)
        _remove([*step.removes, *step.leaves])

    def _path(self, step: Step) -> Path:
        return self._folder / f"{step.key}.json"

    def _read(self, step: Step) -> Optional[Dict[str, Any]]:
        path = self._path(step)
        if not path.is_file():
            return None
        try:
            mark = read_object(path, "what a step was done with")
            float(mark["seconds"])
            list(mark["commands"])
            dict(mark["inputs"])
            bool(mark["done"])
        except (DataError, ValueError, TypeError, KeyError, OSError) as error:
            found = (
                str(error)
                if isinstance(error, DataError)
                else f"{path}: expected what a step was done with, found something else ({error!r})"
            )
            raise DataError(
                f"{found}; remove it and what the step made, and {step} is done once more"
            ) from error
        return dict(mark)

    def _write(self, step: Step, is_done: bool, seconds: float) -> None:
        content = {
            "commands": self.normalised(step.commands),
            "inputs": {self._without_places(path): self._stamp(path) for path in step.needs},
            "seconds": round(seconds, 3),
            "done": is_done,
        }
        with replacing(self._path(step)) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _stamp(self, path: str) -> List[Any]:
        """Return size, time and SHA-256 of a file; the first two spare us the third later."""
        status = Path(path).stat()
        key = (path, status.st_size, status.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = sha256_of(Path(path))
        return [status.st_size, status.st_mtime_ns, self._hashes[key]]

    def _is_other(self, path: str, stamp: Sequence[Any]) -> bool:
        """Tell whether a file that is there has another content than the stamp."""
        if not Path(path).is_file():
            return False
        status = Path(path).stat()
        if [status.st_size, status.st_mtime_ns] == list(stamp[:2]):
            return False
        return bool(self._stamp(path)[2] != stamp[2])

    def _without_places(self, word: str) -> str:
        for place, name in self._places:
            word = re.sub(rf"(?<![\w./-]){re.escape(place)}(?![\w.-])", name, word)
        return word


def remove_files(step: Step) -> None:
    """Remove the files that a step says aren't needed once it is done."""
    _remove(step.removes)


def _remove(patterns: Sequence[str]) -> None:
    for path in _matching(patterns):
        path.unlink()


def _has_left(step: Step) -> bool:
    """Tell whether anything is there of a step: made, or left beside."""
    return any(Path(path).exists() for path in step.makes) or bool(
        _matching([*step.removes, *step.leaves])
    )


def _matching(patterns: Sequence[str]) -> List[Path]:
    return [path for one in patterns for path in Path(one).parent.glob(Path(one).name)]


def _difference(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> str:
    """Say which words of the commands differ; nothing where none do."""
    old = [word for command in before for word in command]
    new = [word for command in now for word in command]
    if [list(command) for command in before] == [list(command) for command in now]:
        return ""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    context = max(0, start - 1)  # the option whose value it is
    was, is_ = old[context : len(old) - end], new[context : len(new) - end]
    return f"was '{shortened(' '.join(was))}', is '{shortened(' '.join(is_))}'"
