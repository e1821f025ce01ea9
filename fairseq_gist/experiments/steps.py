"""The steps of all runs: each made once, with the files that tie it to others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.experiment import Experiment, StepTemplate, System
from fairseq_gist.experiments.templates import Scope, combinations

__all__ = ["Matrix", "Run", "Step", "run_scope"]

_FOR_ALL = "_all"  # no system's name begins like that


class Run(NamedTuple):
    """A system with a seed."""

    system: str
    seed: int

    def __str__(self) -> str:
        return f"{self.system}, seed {self.seed}"

    @property
    def key(self) -> str:
        """The run's name in those of files."""
        return f"{self.system}-{self.seed}"


@dataclass(frozen=True)
class Step:
    """Commands that make files from files."""

    name: str
    """Its template's, with the items that it is for."""
    template: str
    key: str
    """Tells it from all others; the path of its mark."""
    run: Optional[Run]
    """The run that it belongs to, where it isn't for several."""
    commands: Tuple[Tuple[str, ...], ...]
    needs: Tuple[str, ...]
    makes: Tuple[str, ...]
    removes: Tuple[str, ...]
    leaves: Tuple[str, ...]
    log: str
    shows: str

    def __str__(self) -> str:
        return f"{self.run}: {self.name}" if self.run else self.name

    @property
    def folder(self) -> str:
        """The first part of the key: the run's, the seed's, or that of all."""
        return self.key.split("/")[0]


class Matrix:
    """Systems times seeds, and the steps of all of them.

    Attributes:
        experiment: that it is of.
        runs: in the order in which they are made: seed by seed, systems as they are described.
        steps: by key.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.runs = self._all_runs(waiting=False)
        self.steps: Dict[str, Step] = {}
        self._producers: Dict[str, Step] = {}
        self._by_folder: Dict[str, List[Step]] = {}
        self._logs: Dict[str, int] = {}
        for step in self._all_steps():
            known = self._known(step)
            self._by_folder.setdefault(step.folder, []).append(known or step)
            if known:
                continue
            self.steps[step.key] = step
            self._logs[step.log] = self._logs.get(step.log, 0) + 1
            for path in step.makes:
                other = self._producers.setdefault(path, step)
                if other is not step:
                    raise DataError(f"two steps make {path}: {other} and {step}")
        self._promised = {
            path: step.run.system
            for step in self._run_steps(self._all_runs(waiting=True))
            for path in step.makes
            if step.run and path not in self._producers
        }

    def scope_of(self, run: Run) -> Scope:
        """Return the scope of a run's texts."""
        return run_scope(self.experiment, self.experiment.system(run.system), run)

    def result_of(self, run: Run) -> str:
        """Return the path of a run's scores."""
        return self.scope_of(run).text(self.experiment.results.file)

    def own_steps(self, run: Run) -> List[Step]:
        """Return the steps that are a run's alone."""
        return list(self._by_folder.get(run.key, []))

    def goals_of(self, run: Run) -> List[Step]:
        """Return the steps for whose sake a run is there; some may be those of several runs."""
        goals = self.experiment.system(run.system).goals
        several = [
            step
            for folder in (_seed_folder(run.seed), _FOR_ALL)
            for step in self._by_folder.get(folder, [])
        ]
        return [step for step in [*self.own_steps(run), *several] if step.template in goals]

    def has_own_log(self, step: Step) -> bool:
        """Tell whether a step writes its log alone."""
        return self._logs[step.log] == 1

    def producers_of(self, step: Step) -> List[Step]:
        """Return the steps that make what a step needs."""
        found = (self._producers.get(path) for path in step.needs)
        return list({step.key: step for step in found if step is not None}.values())

    def waits_for(self, goal: Step) -> Set[str]:
        """Return the systems that a goal needs files of and whose trials aren't done."""
        if not self._promised:
            return set()
        needs = {path for step in self.closure([goal]) for path in step.needs}
        return {self._promised[path] for path in needs if path in self._promised}

    def closure(self, goals: Iterable[Step]) -> List[Step]:
        """Return the goals and all that they need, what is needed before what needs it.

        Raises:
            DataError: when steps need each other.
        """
        found: Dict[str, Step] = {}
        for goal in goals:
            self._visit(goal, found, ())
        return list(found.values())

    def _visit(self, step: Step, found: Dict[str, Step], trail: Tuple[str, ...]) -> None:
        if step.key in found:
            return
        if step.key in trail:
            raise DataError(f"steps need each other: {' -> '.join((*trail, step.key))}")
        for producer in self.producers_of(step):
            self._visit(producer, found, (*trail, step.key))
        found[step.key] = step

    def _known(self, step: Step) -> Optional[Step]:
        """Return the step of another run that does the same to make the same files.

        A system does so with the settings that one of its trials has.
        """
        other = self._producers.get(step.makes[0]) if step.makes else None
        if other and replace(other, key=step.key, run=step.run, log=step.log) == step:
            return other
        return None

    def _all_steps(self) -> Iterable[Step]:
        experiment, scope = self.experiment, self.experiment.scope
        templates = experiment.steps.values()
        for template in templates:
            if template.per == "experiment":
                yield from _steps(template, scope, _FOR_ALL, None)
            elif template.per == "seed":
                for seed in experiment.seeds:
                    own = scope.child(f"steps.{template.name}", {"seed": seed})
                    yield from _steps(template, own, _seed_folder(seed), None)
        yield from self._run_steps(self.runs)

    def _all_runs(self, waiting: bool) -> List[Run]:
        experiment = self.experiment
        return [
            Run(system.name, seed)
            for seed in experiment.seeds
            for system in experiment.systems
            if system.waits == waiting
            and (
                seed == experiment.seeds[0]
                or system.name in (*experiment.seeded, *experiment.always)  # no trial is
            )
        ]

    def _run_steps(self, runs: Sequence[Run]) -> Iterable[Step]:
        experiment = self.experiment
        for run in runs:
            system = experiment.system(run.system)
            own = run_scope(experiment, system, run)
            for name in system.steps:
                if experiment.steps[name].per == "run":
                    yield from _steps(experiment.steps[name], own, run.key, run)


def _seed_folder(seed: int) -> str:
    return f"_seed-{seed}"


def run_scope(experiment: Experiment, system: System, run: Run) -> Scope:
    """Return the scope of a run's texts."""
    values = {
        **system.values,
        **system.items,
        "system": system.name,
        "whose": system.trial_of or system.name,
        "seed": run.seed,
    }
    return experiment.scope.child(str(run), values, system.options)


def _steps(template: StepTemplate, scope: Scope, folder: str, run: Optional[Run]) -> Iterable[Step]:
    for items in combinations(scope, template.each):
        name = " ".join([template.name, *items.values()])
        key = "-".join([template.name, *items.values()])
        where = f"{run or folder}, step {name}"
        own = scope.child(where, {**items, "step": key})
        yield Step(
            name=name,
            template=template.name,
            key=f"{folder}/{key}",
            run=run,
            commands=tuple(tuple(own.words(command)) for command in template.commands),
            needs=_paths(own, template.needs),
            makes=_paths(own, template.makes),
            removes=_paths(own, template.removes),
            leaves=_paths(own, template.leaves),
            log=own.text(template.log or f"{{out}}/logs/{folder}/{key}.log"),
            shows=template.shows,
        )


def _paths(scope: Scope, templates: Sequence[str]) -> Tuple[str, ...]:
    """Return the paths; a template may be a setting with several, or with none."""
    found = [path for template in templates for path in scope.texts(template)]
    return tuple(dict.fromkeys(path for path in found if path))
