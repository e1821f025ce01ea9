"""An experiment as its TOML describes it, before anything is filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from fairseq_gist.experiments.templates import Scope

__all__ = [
    "Check",
    "Closing",
    "Comparisons",
    "Costs",
    "Experiment",
    "Remark",
    "Results",
    "StepTemplate",
    "System",
    "Table",
    "Tuning",
    "Twins",
]


@dataclass(frozen=True)
class StepTemplate:
    """A step that is made once a run, a seed, or for the whole experiment."""

    name: str
    commands: Tuple[str, ...] = ()
    """Command lines, one after the other."""
    per: str = "run"
    """``run``, ``seed`` or ``experiment``."""
    each: Dict[str, str] = field(default_factory=dict)
    """Name -> list: the step is there once for each item, which has this name in it."""
    needs: Tuple[str, ...] = ()
    """Files that it reads; those that no step makes have to be there before the start."""
    makes: Tuple[str, ...] = ()
    """Files by which the step is known to be done."""
    removes: Tuple[str, ...] = ()
    """Patterns of files that aren't needed once it is done."""
    leaves: Tuple[str, ...] = ()
    """Patterns of files that it leaves beside; they go where it is done anew."""
    log: str = ""
    """Where the output of its commands goes; empty: a file of its own in ``{out}/logs``."""
    shows: str = ""
    """A regular expression: lines of the output that are shown, too, or of them its groups."""


@dataclass(frozen=True)
class Table:
    """A comparison of the systems that have been scored with all of its seeds."""

    name: str
    title: str
    seeds: str
    """``first`` or ``all``."""


@dataclass(frozen=True)
class Comparisons:
    """Who is compared with whom in the tables."""

    baseline: str = ""
    """The system with which all others are compared; without one the first of the table."""
    pairs: Tuple[Tuple[str, str], ...] = ()
    """System and the other; patterns such as ``gdps-*``, or a system's name with ``{budget}``."""


@dataclass(frozen=True)
class Results:
    """Where a run's scores are, and what is kept of them in the record of runs."""

    file: str
    figures: Dict[str, str] = field(default_factory=dict)
    """Name -> place in the JSON file, such as ``systems.0.metrics.bleu.scores.average``."""


@dataclass(frozen=True)
class Twins:
    """By which file two runs of one seed are known to be the same model."""

    file: str
    key: str
    """Of the JSON in ``file``: equal in both."""
    before: str
    """The step that the second run is spared, with all that follow."""


@dataclass(frozen=True)
class Remark:
    """What is said below the tables of a run whose file lacks something."""

    file: str
    lacks: str
    """A key of the JSON in ``file`` that isn't there or empty."""
    text: str


@dataclass(frozen=True)
class Check:
    """A command that has to work before anything is started."""

    command: str
    says: str
    """What is told when it doesn't."""


@dataclass(frozen=True)
class Closing:
    """A command at the end, over the files that are there."""

    command: str
    files: Tuple[str, ...] = ()
    """Without any of these it is left out; ``{files}`` in the command are those that are there."""
    each: Dict[str, str] = field(default_factory=dict)
    title: str = ""
    """Where there is one, the output is shown under it."""
    log: str = "{out}/logs/closing.log"
    """Where the output goes."""


@dataclass(frozen=True)
class Costs:
    """What a training costs at most; numbers, or names of settings, as text."""

    steps: Tuple[str, ...] = ("train", "train-each")
    """The trainings, of which a run has one."""
    said: str = ""
    """Said before the work, in words."""
    parameters: str = ""
    """Of the model; without it nothing is estimated."""
    encoder: str = ""
    """Parameters at work on a position of the encoder."""
    decoder: str = ""
    """Parameters at work on a token."""
    positions: str = ""
    """Of the encoder, a second of speech."""
    tokens: str = "4"
    """Of the translation, a second of speech."""
    frames: Tuple[str, ...] = ()
    """Factors whose product is the frames of an update, 100 a second."""
    updates: str = "{updates}"
    checkpoints: str = "1"
    """That are kept at a time, beside the last and the best."""
    tflops: str = "20"
    """What the device does in such training, in 10^12 operations a second."""


@dataclass(frozen=True)
class Tuning:
    """How settings of systems are chosen by trials, where systems have some to tune."""

    file: str = ""
    """Of a trial's figure."""
    figure: str = ""
    """Its place in the JSON file, such as ``subsets.dev.last.loss_average``."""
    goals: Tuple[str, ...] = ()
    """The steps for whose sake a trial is there."""
    lowest: bool = True
    """Whether the lowest is best."""


@dataclass(frozen=True)
class System:
    """A system: a row of the tables."""

    name: str
    origin: str
    """Its name in the TOML, where ``{budget}`` may stand for an item of a list."""
    items: Mapping[str, str]
    """That item, by name."""
    steps: Tuple[str, ...]
    goals: Tuple[str, ...]
    values: Mapping[str, Any]
    options: Mapping[str, str]
    tune: Mapping[str, str] = field(default_factory=dict)
    """Setting -> list: its value is chosen from these by trials with the first seed."""
    trial_of: str = ""
    """The system whose trial it is."""
    waits: bool = False
    """Whether its trials aren't done: it has no runs yet."""


@dataclass(frozen=True)
class Experiment:
    """All of it."""

    name: str
    title: str
    scope: Scope
    seeds: Tuple[int, ...]
    seeded: Tuple[str, ...]
    """Systems that there are with all seeds; the others have the first."""
    always: Tuple[str, ...]
    """Systems that the others start from."""
    only: Tuple[str, ...]
    """Systems that are made unless others are asked for; empty: all."""
    systems: Tuple[System, ...]
    steps: Mapping[str, StepTemplate]
    results: Results
    tuning: Tuning
    comparisons: Comparisons
    twins: Tuple[Twins, ...]
    remarks: Tuple[Remark, ...]
    checks: Tuple[Check, ...]
    tables: Tuple[Table, ...]
    closing: Tuple[Closing, ...]
    costs: Costs
    environment: Mapping[str, str]
    folders: Tuple[str, ...] = ()
    """Names of folders that are where the description is."""

    def system(self, name: str) -> System:
        """Return the system of that name."""
        return next(system for system in self.systems if system.name == name)

    @property
    def out(self) -> Path:
        """The folder of everything that is written."""
        return Path(self.scope.text("{out}"))
