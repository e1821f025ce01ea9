"""The record of runs: one line of JSON a run, and what is to be said of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import fairseq_gist
from fairseq_gist.errors import DataError
from fairseq_gist.experiments.experiment import Remark
from fairseq_gist.experiments.marks import Marks
from fairseq_gist.experiments.steps import Matrix, Run
from fairseq_gist.files import read_json, read_text, replacing

__all__ = ["Records", "json_value"]


class Records:
    """``runs.jsonl``: what came out of every run, with its seed, seconds and signature.

    Args:
        matrix: of the runs.
        marks: that know how long steps took.
    """

    def __init__(self, matrix: Matrix, marks: Marks) -> None:
        self._matrix = matrix
        self._marks = marks
        self.path = matrix.experiment.out / "runs.jsonl"
        self._lines: Dict[Run, Dict[str, Any]] = {}
        self._is_cut = False
        for number, line in enumerate(self._read(), start=1):
            try:
                content = json.loads(line)
                self._lines[Run(str(content["system"]), int(content["seed"]))] = content
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self.path}, line {number}: expected a run, found something else "
                    f"({error!r}); remove the line: a run that is done is noted again"
                ) from error
        self._drop_other_grids()

    def add(self, run: Run, twin: Optional[Run] = None) -> List[str]:
        """Write what came out of a run; gives what there is to say of it.

        Args:
            run: that is finished.
            twin: whose model and scores it has.
        """
        line: Dict[str, Any] = {
            "experiment": self._matrix.experiment.name,
            "system": run.system,
            "seed": run.seed,
            "figures": self._figures(run),
            "seconds": self._seconds(run),
            "signature": self.signature(run),
            "version": fairseq_gist.__version__,
            "remarks": self._remarks(run, twin),
        }
        before = self._lines.get(run)
        if line != before:
            self._lines[run] = line
            if before is None and not self._is_cut:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(_line(line))
            else:
                self._write_all()
        return list(line["remarks"])

    def remarks(self, run: Run) -> List[str]:
        """Return what has been said of a run."""
        return list(self._lines.get(run, {}).get("remarks", []))

    def signature(self, run: Run) -> str:
        """Return a digest of all commands that a run comes from."""
        steps = self._matrix.closure(self._matrix.goals_of(run))
        commands = [self._marks.normalised(step.commands) for step in steps]
        return hashlib.sha256(json.dumps(commands).encode("utf-8")).hexdigest()[:16]

    def _drop_other_grids(self) -> None:
        """Leave out trials of another grid: whoever reads would take them for this one's."""
        systems = self._matrix.experiment.systems
        tuned = {system.trial_of for system in systems if system.trial_of}
        names = {system.name for system in systems}
        other = [
            run
            for run in self._lines
            if run.system not in names and run.system.partition("@")[0] in tuned
        ]
        for run in other:
            del self._lines[run]
        if other:
            self._write_all()

    def _write_all(self) -> None:
        with replacing(self.path) as temporary:
            temporary.write_text("".join(map(_line, self._lines.values())), "utf-8")
        self._is_cut = False

    def _read(self) -> List[str]:
        if not self.path.is_file():
            return []
        text = read_text(self.path)
        # a line without its end was being written when all stopped: its run is added again
        lines = text.splitlines(keepends=True)
        self._is_cut = not text.endswith("\n")
        return lines[:-1] if self._is_cut else lines

    def _figures(self, run: Run) -> Mapping[str, Any]:
        experiment = self._matrix.experiment
        if experiment.system(run.system).trial_of:
            file = Path(self._matrix.scope_of(run).text(experiment.tuning.file))
            return {"trial": json_value(file, experiment.tuning.figure)}
        path = Path(self._matrix.result_of(run))
        figures = experiment.results.figures
        return {name: json_value(path, place) for name, place in figures.items()}

    def _seconds(self, run: Run) -> float:
        steps = self._matrix.own_steps(run)
        return round(sum(map(self._marks.seconds, steps)), 3)

    def _remarks(self, run: Run, twin: Optional[Run]) -> List[str]:
        scope = self._matrix.scope_of(run)
        found = [
            f"{run}: {remark.text}"
            for remark in self._matrix.experiment.remarks
            if _lacks(Path(scope.text(remark.file)), remark)
        ]
        if twin:
            found.append(f"{run}: is the same model as {twin.system}, and so has its scores")
        return found


def json_value(path: Path, place: str) -> Any:
    """Return what is at a place such as ``systems.0.name`` in a JSON file.

    Raises:
        DataError: when the file is no JSON, or has nothing there.
    """
    try:
        value = read_json(path, f"JSON with {place}")
        for key in place.split("."):
            value = value[int(key) if isinstance(value, list) else key]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path}: expected JSON with {place}, found none ({error!r})") from error
    return value


def _lacks(path: Path, remark: Remark) -> bool:
    if not path.is_file():
        return False
    content = read_json(path, f"JSON with {remark.lacks}")
    return not (isinstance(content, dict) and content.get(remark.lacks))


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"
