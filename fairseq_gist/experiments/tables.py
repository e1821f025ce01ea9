"""The tables: which scores they are made of, and who is compared with whom."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.experiment import Experiment, Table
from fairseq_gist.experiments.steps import Matrix, Run

__all__ = ["ScoreCommand", "compared_pairs", "score_command"]


class ScoreCommand(NamedTuple):
    """A call of ``fairseq-gist score`` for a table."""

    words: List[str]
    runs: List[Run]
    """That it is made of."""
    title: str


def score_command(
    matrix: Matrix, table: Table, is_there: Callable[[Run], bool]
) -> Optional[ScoreCommand]:
    """Return the command for the systems that are there with all seeds of a table; None: none are.

    One seed beside the mean of several would compare the seeds, not the systems.
    """
    experiment = matrix.experiment
    seeds = experiment.seeds[:1] if table.seeds == "first" else experiment.seeds
    if table.seeds not in ("first", "all"):
        raise DataError(f"tables: seeds: expected first or all, found '{table.seeds}'")
    if table.seeds == "all" and len(seeds) == 1:
        return None
    made = set(matrix.runs)
    systems = [
        system.name
        for system in experiment.systems
        if not system.trial_of
        and all(Run(system.name, s) in made and is_there(Run(system.name, s)) for s in seeds)
    ]
    if not systems:
        return None
    runs = [Run(system, seed) for system in systems for seed in seeds]
    words = ["fairseq-gist", "score"]
    words += [f"{run.system}={matrix.result_of(run)}" for run in runs]
    baseline = experiment.comparisons.baseline
    if baseline in systems:
        words += ["--baseline", baseline]
    pairs = compared_pairs(experiment, systems)
    words += [word for pair in pairs for word in ("--against", "=".join(pair))]
    prefix = f"{experiment.out.as_posix()}/{table.name}"
    words += ["--table", prefix, "-o", f"{prefix}.json"]
    listed = ", ".join(map(str, seeds))
    return ScoreCommand(words, runs, f"{table.name}: {table.title} (seed {listed})")


def compared_pairs(experiment: Experiment, systems: Sequence[str]) -> List[Tuple[str, str]]:
    """Return the pairs that the experiment compares, of these systems, each once.

    Raises:
        DataError: when a pattern fits no system of the experiment.
    """
    baseline = experiment.comparisons.baseline
    found: Dict[Tuple[str, str], None] = {}
    for left, right in experiment.comparisons.pairs:
        matched = _matched(experiment, left, right)
        if not matched:
            raise DataError(f"comparisons.pairs: no two systems are {left} and {right}")
        for name, other in matched:
            is_plain = name != other and name != baseline and other != baseline
            if is_plain and name in systems and other in systems:
                found[name, other] = None
    return list(found)


def _matched(experiment: Experiment, left: str, right: str) -> List[Tuple[str, str]]:
    names = [system.name for system in experiment.systems]
    pairs = []
    for system in experiment.systems:
        if "{" in left:
            scope = experiment.scope.child("comparisons.pairs", system.items)
            if system.origin == left and scope.text(right) in names:
                pairs.append((system.name, scope.text(right)))
        elif fnmatchcase(system.name, left):
            pairs += [(system.name, other) for other in names if fnmatchcase(other, right)]
    return pairs
