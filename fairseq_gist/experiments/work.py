"""What is left to be done, checked before anything is started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Set

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.experiments.experiment import Experiment
from fairseq_gist.experiments.marks import Marks, State
from fairseq_gist.experiments.steps import Matrix, Run, Step

__all__ = ["Work", "check_work", "chosen_runs", "find_work"]

_SHOWN = 5
"""So many conflicts are listed, the others counted."""


class Work(NamedTuple):
    """The steps that the goals of some runs ask for."""

    steps: List[Step]
    """To be done, what is needed before what needs it."""
    stale: List[Step]
    """Those of them that were done otherwise: what they left has to go first."""
    done: int
    """How many are done."""


def chosen_runs(matrix: Matrix, only: Sequence[str]) -> List[Run]:
    """Return the runs of these systems, and of those that the others start from.

    Args:
        matrix: of all.
        only: systems; empty: what the experiment says.

    Raises:
        OptionError: for a system that there isn't.
    """
    experiment = matrix.experiment
    names = [system.trial_of or system.name for system in experiment.systems]
    names = list(dict.fromkeys(names))
    for name in only:
        if name not in names:
            raise OptionError(f"--only: expected some of {', '.join(names)}, found '{name}'")
    wanted = {*(only or experiment.only or names), *experiment.always}
    trial_of = {system.name: system.trial_of for system in experiment.systems}
    return [run for run in matrix.runs if {run.system, trial_of[run.system]} & wanted]


def find_work(matrix: Matrix, runs: Sequence[Run], marks: Marks, again: bool = False) -> Work:
    """Return what is left to be done for these runs.

    A goal that needs files of a system whose trials aren't done is left for later; they come first.

    Args:
        matrix: of all steps.
        runs: whose goals are wanted.
        marks: of what is done.
        again: whether steps that were done otherwise are done once more.

    Raises:
        DataError: when there are such steps and ``again`` isn't given.
    """
    goals = _goals_now(matrix, runs)
    closure = matrix.closure(goals)
    states = {step.key: marks.state(step) for step in closure}
    if not again:
        _check_conflicts(closure, states, matrix.experiment)
    stale: Dict[str, Step] = {}
    for step in closure:
        if states[step.key].conflict or any(p.key in stale for p in matrix.producers_of(step)):
            stale[step.key] = step
    left: Dict[str, Step] = {}
    queue = list(goals)
    while queue:
        step = queue.pop()
        if step.key in left or (states[step.key].is_done and step.key not in stale):
            continue
        left[step.key] = step
        queue += matrix.producers_of(step)
    steps = [step for step in closure if step.key in left]
    return Work(steps, [step for step in steps if step.key in stale], len(closure) - len(steps))


def _goals_now(matrix: Matrix, runs: Sequence[Run]) -> List[Step]:
    """Return the goals of the runs that can be reached, and for all others what they wait for."""
    trial_of = {system.name: system.trial_of for system in matrix.experiment.systems}
    goals: List[Step] = []
    waited_for: Set[str] = set()
    queue = list(runs)
    for run in queue:
        for goal in matrix.goals_of(run):
            systems = matrix.waits_for(goal)
            if not systems:
                goals.append(goal)
            queue += [
                other for other in matrix.runs if trial_of[other.system] in systems - waited_for
            ]
            waited_for |= systems
    return goals


def check_work(work: Work, path: str) -> None:
    """Raise unless all that the steps need is there, or will be.

    Args:
        work: to be done.
        path: where commands are looked for.

    Raises:
        DataError: naming the files and commands that are missing.
    """
    made = {path for step in work.steps for path in step.makes}
    missing: Dict[str, Step] = {}
    for step in work.steps:
        for need in step.needs:
            if need not in made and not Path(need).exists():
                missing.setdefault(need, step)
    if missing:
        listed = [f"{need} ({step})" for need, step in list(missing.items())[:_SHOWN]]
        raise DataError(
            f"expected files that no step makes, found none of {len(missing)}: {', '.join(listed)}"
        )
    for tool in dict.fromkeys(command[0] for step in work.steps for command in step.commands):
        if shutil.which(tool, path=path) is None:
            raise DataError(
                f"{tool} is not on the PATH; pip install 'fairseq-gist[fairseq,corpora,report]'"
            )


def _check_conflicts(
    steps: Sequence[Step], states: Dict[str, State], experiment: Experiment
) -> None:
    found = [step for step in steps if states[step.key].conflict]
    if found:
        listed = "; ".join(f"{step}: {states[step.key].conflict}" for step in found[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError(
            f"{experiment.out} was made otherwise: {listed}{more}; choose another folder with -o, "
            "or --again to remove what these steps made and do them once more"
        )
