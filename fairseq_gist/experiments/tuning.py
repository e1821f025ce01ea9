"""Choosing settings of systems by trials on held-out data, from a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.experiment import Experiment, System
from fairseq_gist.experiments.records import json_value
from fairseq_gist.experiments.steps import Run, run_scope
from fairseq_gist.experiments.templates import combinations

__all__ = ["Chosen", "Tuned", "tuned"]


class Chosen(NamedTuple):
    """What the trials of a system came to."""

    system: str
    values: Dict[str, str]
    """The settings of the best one."""
    figures: Dict[str, float]
    """What every trial came to, by its name."""
    is_at_edge: bool
    """Whether a value is the first or the last of its list of three or more: the best may lie
    beyond."""

    def __str__(self) -> str:
        best = ", ".join(f"{name} {value}" for name, value in self.values.items())
        others = ", ".join(f"{name.partition('@')[2]} {f:.4g}" for name, f in self.figures.items())
        edge = "; that is an end of the grid, and better may lie beyond" * self.is_at_edge
        return f"{self.system}: {best} ({others}){edge}"


@dataclass(frozen=True)
class Tuned:
    """An experiment with trials, and with the systems whose settings are chosen."""

    experiment: Experiment
    chosen: Tuple[Chosen, ...]
    undecided: Tuple[str, ...]
    """Systems that wait for trials."""


def tuned(experiment: Experiment) -> Tuned:
    """Return the experiment with a trial for each place in the grid of a system that has one.

    A system whose trials are all done has the settings of the best; one that waits for a trial has
    no runs.

    Raises:
        DataError: when a trial's figure is no number.
    """
    systems: List[System] = []
    chosen: List[Chosen] = []
    undecided: List[str] = []
    for system in experiment.systems:
        if not system.tune:
            systems.append(system)
            continue
        trials = _trials(experiment, system)
        systems += trials
        own = _choose(experiment, system, trials)
        if own is None:
            undecided.append(system.name)
            # the names of its files are known by any place in the grid
            systems.append(replace(system, waits=True, values=trials[0].values))
            continue
        chosen.append(own)
        systems.append(replace(system, values={**system.values, **own.values}))
    return Tuned(replace(experiment, systems=tuple(systems)), tuple(chosen), tuple(undecided))


def _trials(experiment: Experiment, system: System) -> List[System]:
    scope = experiment.scope.child(f"systems.{system.name}.tune", {**system.values, **system.items})
    found = []
    for items in combinations(scope, system.tune):
        name = "@".join([system.name, "-".join(items.values())])
        found.append(
            replace(
                system,
                name=name,
                goals=experiment.tuning.goals,
                values={**system.values, **items},
                tune={},
                trial_of=system.name,
            )
        )
    return found


def _choose(experiment: Experiment, system: System, trials: List[System]) -> Optional[Chosen]:
    figures: Dict[str, float] = {}
    for trial in trials:
        scope = run_scope(experiment, trial, Run(trial.name, experiment.seeds[0]))
        path = Path(scope.text(experiment.tuning.file))
        if not path.is_file():
            return None
        value = json_value(path, experiment.tuning.figure)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise DataError(
                f"{path}: expected a number at {experiment.tuning.figure}, found {value!r}"
            )
        figures[trial.name] = value
    best = (min if experiment.tuning.lowest else max)(figures, key=lambda name: figures[name])
    values = next(trial.values for trial in trials if trial.name == best)
    own = {name: str(values[name]) for name in system.tune}
    return Chosen(system.name, own, figures, _is_at_edge(experiment, system, own))


def _is_at_edge(experiment: Experiment, system: System, values: Dict[str, str]) -> bool:
    scope = experiment.scope.child("tuning", {**system.values, **system.items})
    grids = {name: scope.items(items) for name, items in system.tune.items()}
    return any(
        len(grid) > 2 and values[name] in (grid[0], grid[-1]) for name, grid in grids.items()
    )
