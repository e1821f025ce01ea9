"""What is in the folders and files a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from fairseq_gist.errors import DataError, GistError
from fairseq_gist.evaluation import Compared, Run, read_all_scores, read_compared
from fairseq_gist.evaluation.scores import Scored
from fairseq_gist.files import read_json
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.report.training_log import TrainingLog, read_log
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Content", "find_content"]

_CHECKPOINTS = ("checkpoint_last.pt", "checkpoint_best.pt", "average.pt")
"""In this order one of a folder is looked into for its plan."""

_WHAT = {
    ".npz": "gradient statistics",
    ".json": "a plan or scores",
    ".log": "a training log",
    ".pt": "a checkpoint with a plan",
}
"""What files of each kind are looked through for."""

PlanReader = Callable[[str], Optional[SharingPlan]]


@dataclass
class Content:
    """What was found of one run.

    Attributes:
        name: of the run.
        statistics: label -> gradient statistics, by update, as are the plans.
        plans: label -> plan.
        logs: of training.
        scores: of systems.
        compared: who was compared with whom, as the files of scores say it.
        problems: files that looked right and could not be read, a sentence each.
    """

    name: str
    statistics: Dict[str, GradientStatistics] = field(default_factory=dict)
    plans: Dict[str, SharingPlan] = field(default_factory=dict)
    logs: List[TrainingLog] = field(default_factory=list)
    scores: List[Run] = field(default_factory=list)
    compared: List[Compared] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report on."""
        return not (self.statistics or self.plans or self.logs or self.scores)


def find_content(runs: Sequence[Path], plan_of_checkpoint: PlanReader) -> List[Content]:
    """Look through folders, and take files as they are.

    In a folder every statistics file, plan, scores file and training log counts, and of
    checkpoints the last, best or averaged one of a folder without a plan file. Files of other
    content are passed over; one that can't be read is noted in ``problems``. Files that are named
    themselves are together one run.

    Args:
        runs: folders and files.
        plan_of_checkpoint: returns the plan inside a checkpoint, None where there is none.

    Raises:
        DataError: when a run doesn't exist, has nothing to report on, or a file that was named
            itself can't be read.
    """
    contents: List[Content] = []
    files: Optional[Content] = None
    for name, run in zip(_names(runs), runs):
        if not run.is_file():
            contents.append(_of_folder(name, run, plan_of_checkpoint))
            continue
        if files is None:
            files = Content(name)
            contents.append(files)
        else:
            files.name += f", {name}"
        _take_named(files, run, name, plan_of_checkpoint)
    for content in contents:
        content.statistics = dict(sorted(content.statistics.items(), key=_update))
        content.plans = dict(sorted(content.plans.items(), key=_update))
        content.scores = _each_once(content.scores)
    return contents


def _names(runs: Sequence[Path]) -> List[str]:
    """Return the last part of each path, or as many as tell it from the others."""
    parts = [run.resolve().parts for run in runs]
    names: List[str] = []
    for own in parts:
        length = 1
        while length < len(own) and sum(other[-length:] == own[-length:] for other in parts) > 1:
            length += 1
        names.append("/".join(own[-length:]))
    return names


def _take_named(content: Content, path: Path, name: str, plan_of_checkpoint: PlanReader) -> None:
    if path.suffix not in _WHAT:
        raise DataError(f"{path}: expected {_listed()}, found something else")
    if not _take(content, path, name, plan_of_checkpoint):
        raise DataError(f"{path}: expected {_WHAT[path.suffix]}, found none in it")


def _of_folder(name: str, run: Path, plan_of_checkpoint: PlanReader) -> Content:
    if not run.is_dir():
        raise DataError(f"there is no folder or file {run}")
    content = Content(name)
    files = sorted(_candidates(run))
    for path in tqdm(files, desc=f"reading {name}", unit="file", disable=None, delay=2):
        label = path.relative_to(run).as_posix()
        try:
            _take(content, path, label, plan_of_checkpoint)
        except (GistError, OSError) as error:
            content.problems.append(str(error))
    if content.is_empty:
        found = f"; {content.problems[0]}" if content.problems else ""
        raise DataError(f"{run} has nothing to report on: expected {_listed()} in it{found}")
    return content


def _listed() -> str:
    kinds = [f"{what} ({ending})" for ending, what in _WHAT.items()]
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}"


def _update(item: Tuple[str, GradientStatistics | SharingPlan]) -> Tuple[int, str]:
    label, found = item
    update = found.provenance.get("update")
    return (update if isinstance(update, int) else -1, label)


def _candidates(folder: Path) -> Iterator[Path]:
    plans = {path.parent for path in folder.rglob("*.json") if path.name == "plan.json"}
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or path.suffix not in _WHAT or not path.is_file():
            continue
        if path.suffix == ".pt":
            chosen = next((n for n in _CHECKPOINTS if (path.parent / n).is_file()), None)
            if path.name != chosen or path.parent in plans:
                continue
        yield path


def _take(content: Content, path: Path, label: str, plan_of_checkpoint: PlanReader) -> bool:
    """Add what is in a file; whether it is something a report is made of."""
    if path.suffix == ".npz":
        content.statistics[label] = GradientStatistics.load(path)
    elif path.suffix == ".json":
        return _take_json(content, path, label)
    elif path.suffix == ".log":
        log = read_log(path, label)
        content.logs += [log] if log else []
        return log is not None
    else:
        plan = plan_of_checkpoint(str(path))
        if plan is not None:
            content.plans[label] = plan
        return plan is not None
    return True


def _take_json(content: Content, path: Path, label: str) -> bool:
    found = read_json(path, "a plan or a scores file")
    keys = set(found) if isinstance(found, dict) else set()
    if {"languages", "units"} <= keys:
        content.plans[label] = SharingPlan.load(path)
    elif "systems" in keys:
        content.scores += read_all_scores(path)
        compared = read_compared(path)
        content.compared += [compared] if compared else []
    else:
        return False
    return True


def _each_once(runs: Sequence[Run]) -> List[Run]:
    """Leave out what a second file repeats: a table's scores are those of its systems."""
    kept: List[Run] = []
    for run in runs:
        same = (other for other in kept if other.name == run.name)
        if not any(_is_same(run, other) for other in same):
            kept.append(run)
    return kept


def _is_same(run: Run, other: Run) -> bool:
    one, two = run.scores, other.scores
    return (
        one.sentences == two.sentences
        and one.by_metric.keys() == two.by_metric.keys()
        and all(_is_same_by(one.by_metric[name], two.by_metric[name]) for name in one.by_metric)
    )


def _is_same_by(one: Scored, two: Scored) -> bool:
    return one.signature == two.signature and all(
        np.array_equal(counts, two.statistics[language])
        for language, counts in one.statistics.items()
    )
