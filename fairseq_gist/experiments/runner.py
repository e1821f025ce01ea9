"""Doing the steps: several at a time, each when what it needs is there."""

from __future__ import annotations

import heapq
import shutil
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set

from fairseq_gist.errors import GistError
from fairseq_gist.experiments.marks import Marks, remove_files
from fairseq_gist.experiments.processes import Processes, last_lines
from fairseq_gist.experiments.records import Records, json_value
from fairseq_gist.experiments.steps import Matrix, Run, Step
from fairseq_gist.experiments.work import Work

__all__ = ["Runner"]


class Runner:
    """Does what is left to be done, and notes what came out.

    Args:
        matrix: of all steps.
        marks: of what is done.
        records: of finished runs.
        processes: that run commands.
        say: told what goes on, a line each.
        keep_going: whether a failure leaves the steps alone that don't need what failed.
    """

    def __init__(
        self,
        matrix: Matrix,
        marks: Marks,
        records: Records,
        processes: Processes,
        say: Callable[[str], None],
        keep_going: bool = False,
    ) -> None:
        self._matrix = matrix
        self._marks = marks
        self._records = records
        self._processes = processes
        self._say = say
        self._keep_going = keep_going
        self._order: Dict[str, int] = {}
        self._ready: List[int] = []
        self._waiting: Dict[str, Set[str]] = {}
        self._dependents: Dict[str, List[Step]] = {}
        self._goals: Dict[Run, Set[str]] = {}
        self._running: Dict[Future[float], Step] = {}
        self._ended: Set[str] = set()
        self._twins: Dict[Run, Run] = {}
        self._failed: List[str] = []

    def do(self, work: Work, runs: Sequence[Run], jobs: int) -> None:
        """Do the steps; note every run that is finished by that or was before.

        Raises:
            GistError: when a step fails; all others are stopped then, or done first where it is to
                keep going.
        """
        self._begin(work, runs)
        with ThreadPoolExecutor(jobs) as pool:
            try:
                while self._ready or self._running:
                    while self._ready and len(self._running) < jobs:
                        self._start(work.steps[heapq.heappop(self._ready)], pool)
                    if self._running:
                        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
                        for future in sorted(
                            ended, key=lambda f: self._order[self._running[f].key]
                        ):
                            self._end(self._running.pop(future), future)
            finally:
                self._processes.stop()
        for run, twin in self._twins.items():
            if self._goals.get(twin):
                self._failed.append(f"{run}, which is the same model as {twin}")
        if self._failed:
            raise GistError(f"failed: {'; '.join(self._failed)}; all else is done")

    def _begin(self, work: Work, runs: Sequence[Run]) -> None:
        for step in work.stale:
            self._marks.forget(step)
        keys = {step.key for step in work.steps}
        for number, step in enumerate(work.steps):
            self._order[step.key] = number
            needed = {p.key for p in self._matrix.producers_of(step) if p.key in keys}
            self._waiting[step.key] = needed
            for key in needed:
                self._dependents.setdefault(key, []).append(step)
            if not needed:
                heapq.heappush(self._ready, number)
        for run in runs:
            self._goals[run] = {s.key for s in self._matrix.goals_of(run) if s.key in keys}
            if not self._goals[run]:
                self._finish(run)

    # ------------------------------------------------------------------------------- one step
    def _start(self, step: Step, pool: ThreadPoolExecutor) -> None:
        if step.key not in self._waiting:
            return  # of a run that has turned out to be another's twin
        twin = self._twin_of(step)
        if twin and step.run:
            self._follow(step.run, twin)
            return
        conflict = self._marks.state(step).conflict
        if conflict:  # what it needs has been made anew
            self._marks.forget(step)
        self._say(f"== {step}")
        self._running[pool.submit(self._run, step)] = step

    def _run(self, step: Step) -> float:
        """Run a step's commands; gives the seconds."""
        started = time.monotonic()
        for path in [*step.makes, step.log]:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self._marks.is_new(step) and self._matrix.has_own_log(step) and Path(step.log).is_file():
            Path(step.log).unlink()
        self._marks.begin(step)
        is_done = False
        try:
            for command in step.commands:
                status = self._processes.run(command, Path(step.log), step.shows)
                if status:
                    raise GistError(f"{step} failed with {status}, see {step.log}")
            missing = [path for path in step.makes if not Path(path).is_file()]
            if missing:
                raise GistError(
                    f"{step} ended without the file {', '.join(missing)}, see {step.log}"
                )
            is_done = True
        finally:
            self._marks.end(step, time.monotonic() - started, is_done)
        remove_files(step)
        return time.monotonic() - started

    def _end(self, step: Step, future: Future[float]) -> None:
        error = future.exception()
        if error is None:
            self._ended.add(step.key)
            del self._waiting[step.key]
            count = f"{len(self._ended)} of {len(self._ended) + len(self._waiting)}"
            self._say(f"-- {step}: {future.result():.0f} s ({count})")
            for dependent in self._dependents.get(step.key, []):
                self._release(dependent, step)
            self._count_down(step)
            return
        if isinstance(error, GistError) and Path(step.log).is_file():
            self._say(last_lines(Path(step.log)))
        if not self._keep_going or not isinstance(error, GistError):
            self._processes.stop()
            if not isinstance(error, GistError):
                raise error
            raise GistError(
                f"{error}; what is done is kept, and the same command goes on from there"
            )
        self._failed.append(str(error))
        self._drop(step)

    def _release(self, step: Step, ended: Step) -> None:
        if step.key in self._waiting:
            self._waiting[step.key].discard(ended.key)
            if not self._waiting[step.key]:
                heapq.heappush(self._ready, self._order[step.key])

    def _drop(self, step: Step) -> None:
        """Take a step and all that need it off the list."""
        if self._waiting.pop(step.key, None) is not None:
            for dependent in self._dependents.get(step.key, []):
                self._drop(dependent)

    # --------------------------------------------------------------------------------- runs
    def _count_down(self, step: Step) -> None:
        for run, goals in list(self._goals.items()):
            if step.key in goals:
                goals.discard(step.key)
                if not goals:
                    self._finish(run)

    def _finish(self, run: Run) -> None:
        for remark in self._records.add(run, self._twins.get(run)):
            self._say(f"   {remark}")
        for other, twin in list(self._twins.items()):
            if twin == run:
                self._copy(other, run)

    def _follow(self, run: Run, twin: Run) -> None:
        """Let a run have the scores of its twin, now or when that is finished."""
        for key in [key for key in self._waiting if self._matrix.steps[key].run == run]:
            del self._waiting[key]
        self._goals[run] = set()
        self._twins[run] = twin
        if not self._goals.get(twin):
            self._copy(run, twin)

    def _copy(self, run: Run, twin: Run) -> None:
        source, target = self._matrix.result_of(twin), Path(self._matrix.result_of(run))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        for remark in self._records.add(run, twin):
            self._say(f"   {remark}")

    def _twin_of(self, step: Step) -> Optional[Run]:
        """Return the run that has trained, or is training, what this step would."""
        for twins in self._matrix.experiment.twins:
            if step.template != twins.before or step.run is None or self._is_needed(step.run):
                continue
            own = self._identity(step.run, twins.file, twins.key)
            for other in self._matrix.runs if own is not None else []:
                if (
                    other.seed == step.run.seed
                    and other != step.run
                    and other not in self._twins
                    and self._is_trained(other, twins.before)
                    and self._identity(other, twins.file, twins.key) == own
                ):
                    return other
        return None

    def _identity(self, run: Run, file: str, key: str) -> Optional[str]:
        path = Path(self._matrix.scope_of(run).text(file))
        return str(json_value(path, key)) if path.is_file() else None

    def _is_trained(self, run: Run, template: str) -> bool:
        """Tell whether a run's scores are there, or will be, and its training is under way."""
        if run not in self._goals or self._goals[run] & self._failed_keys():
            return all(self._marks.state(goal).is_done for goal in self._matrix.goals_of(run))
        steps = [step for step in self._matrix.own_steps(run) if step.template == template]
        running = {step.key for step in self._running.values()}
        return all(
            step.key in running or step.key in self._ended or self._marks.state(step).is_done
            for step in steps
        )

    def _failed_keys(self) -> Set[str]:
        """Return the goals that nobody is going to reach."""
        return {
            key
            for goals in self._goals.values()
            for key in goals
            if key not in self._waiting and key not in self._ended
        }

    def _is_needed(self, run: Run) -> bool:
        """Tell whether other runs need what this one makes."""
        return any(
            dependent.run != run
            for key, dependents in self._dependents.items()
            if self._matrix.steps[key].run == run
            for dependent in dependents
        )
