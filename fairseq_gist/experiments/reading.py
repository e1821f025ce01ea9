"""From the tables of TOML to an experiment, checked."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any, List, Mapping, Sequence, Tuple

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.document import Document, merged
from fairseq_gist.experiments.experiment import (
    Check,
    Closing,
    Comparisons,
    Costs,
    Experiment,
    Remark,
    Results,
    StepTemplate,
    System,
    Table,
    Tuning,
    Twins,
)
from fairseq_gist.experiments.fields import from_table
from fairseq_gist.experiments.templates import Scope, combinations
from fairseq_gist.files.installed import plugin_folder

__all__ = ["experiment_of"]

_OF_A_SYSTEM = ("steps", "goals", "options", "tune")
"""What a system's table has beside other values of settings."""

OWN_FOLDERS = ("done", "logs")
"""Of an experiment: marks and output of its steps."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*")

_KEYS = (
    "title", "out", "always", "only", "settings", "required", "at_least", "options", "defaults",
    "kinds", "systems", "steps", "results", "tuning", "comparisons", "twins",
    "remarks", "checks", "tables", "closing", "costs", "environment", "folders",
)  # fmt: skip


def experiment_of(document: Document, name: str, out: str = "") -> Experiment:
    """Return the experiment that a document describes, checked.

    Args:
        document: with its profiles and settings applied.
        name: of the experiment.
        out: the folder in place of the document's.

    Raises:
        DataError: naming what is wrong.
    """
    for key in document:
        if key not in _KEYS:
            raise DataError(f"{name}: expected some of {', '.join(_KEYS)}, found '{key}'")
    _check_settings(document, name)
    folder = Path(out or document.get("out") or f"runs/{name}").as_posix()
    settings = document.get("settings", {})
    builtin = {
        "out": folder,
        "plugin": str(plugin_folder()),
        "first_seed": settings["seeds"][0],
    }
    folders = document.get("folders", {})
    scope = Scope({**settings, **folders, **builtin}, document.get("options", {}), name)
    steps = {
        step: from_table(StepTemplate, table, f"steps.{step}", name=step)
        for step, table in document.get("steps", {}).items()
    }
    for template in steps.values():
        _check_step(template)
    systems = tuple(_systems(document, scope, steps))
    names = [system.name for system in systems]
    comparisons = _comparisons(document, names, [system.origin for system in systems])
    return Experiment(
        name=name,
        title=document.get("title", name),
        scope=scope,
        seeds=tuple(settings["seeds"]),
        seeded=_known(settings.get("seeded", names), names, "seeded"),
        always=_known(document.get("always", []), names, "always"),
        only=_known(document.get("only", []), names, "only"),
        systems=systems,
        steps=steps,
        results=from_table(Results, document.get("results", {}), "results"),
        tuning=_tuning(document, systems, steps),
        comparisons=comparisons,
        twins=_each(Twins, document, "twins"),
        remarks=_each(Remark, document, "remarks"),
        checks=_each(Check, document, "checks"),
        tables=_each(Table, document, "tables"),
        closing=_each(Closing, document, "closing"),
        costs=from_table(Costs, document.get("costs", {}), "costs"),
        environment={key: str(value) for key, value in document.get("environment", {}).items()},
        folders=tuple(folders),
    )


def _check_settings(document: Document, name: str) -> None:
    settings = document.get("settings", {})
    for key, what in document.get("required", {}).items():
        if not settings.get(key):
            raise DataError(f"{name}: give --set {key}=...: {what}")
    for key, least in document.get("at_least", {}).items():
        value = settings.get(key)
        if isinstance(value, list):
            if len(value) < least:
                found = ", ".join(map(str, value)) or "none"
                raise DataError(f"{name}: settings.{key}: expected {least} or more, found {found}")
        elif not isinstance(value, (int, float)) or value < least:
            raise DataError(
                f"{name}: settings.{key}: expected a number from {least} on, found {value!r}"
            )
    if "seeds" not in settings:
        raise DataError(f"{name}: settings: has no 'seeds', a list of numbers such as [1]")
    seeds = settings["seeds"]
    if not isinstance(seeds, list) or not seeds or not all(_is_seed(seed) for seed in seeds):
        raise DataError(f"seeds: expected numbers from 0 on, found {seeds!r}")
    if len(set(seeds)) < len(seeds):
        raise DataError(f"seeds: expected each once, found {', '.join(map(str, seeds))}")


def _is_seed(seed: Any) -> bool:
    return isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0


def _systems(document: Document, scope: Scope, steps: Mapping[str, StepTemplate]) -> List[System]:
    found: List[System] = []
    for origin, table in document.get("systems", {}).items():
        own = _with_kind(document, origin, table)
        each = own.pop("each", {})
        _check_system(origin, own, each, document, steps)
        for items in combinations(scope, each):
            name = scope.child(f"systems.{origin}", items).text(origin)
            if not _NAME.fullmatch(name):
                raise DataError(
                    f"systems: '{name}' can't be the name of a system and of its folder"
                )
            if name.lower() in OWN_FOLDERS:
                raise DataError(
                    f"systems: '{name}' can't be the name of a system: every experiment has a "
                    "folder of that name for itself"
                )
            values = {key: value for key, value in own.items() if key not in _OF_A_SYSTEM}
            made, goals = tuple(own["steps"]), tuple(own["goals"])
            options, tune = own.get("options", {}), own.get("tune", {})
            found.append(System(name, origin, items, made, goals, values, options, tune))
    names = [system.name for system in found]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"systems: expected each name once, found '{name}' again")
    return found


def _with_kind(document: Document, origin: str, table: Document) -> Document:
    """Return a system's table on top of its kind's, of what that is like, and of the defaults."""
    kinds = document.get("kinds", {})
    seen: List[str] = []
    layers, where = [table], f"systems.{origin}"
    while "like" in layers[-1]:
        kind = layers[-1]["like"]
        if kind not in kinds:
            known = ", ".join(kinds) or "none"
            raise DataError(f"{where}.like: expected one of {known}, found {kind!r}")
        if kind in seen:
            raise DataError(f"{where}.like: expected another kind, found {kind!r}, which needs it")
        seen.append(kind)
        layers.append(kinds[kind])
        where = f"kinds.{kind}"
    own: Document = document.get("defaults", {})
    for layer in reversed(layers):
        own = merged(own, layer)
    own.pop("like", None)
    return own


def _check_system(
    origin: str,
    own: Mapping[str, Any],
    each: Mapping[str, str],
    document: Document,
    steps: Mapping[str, StepTemplate],
) -> None:
    """Raise unless all that a system says is known elsewhere: what it says is a change."""
    where = f"systems.{origin}"
    settings, options = document.get("settings", {}), document.get("options", {})
    for key in own:
        if key not in _OF_A_SYSTEM and key not in settings:
            raise DataError(f"{where}: expected one of the settings, found '{key}'")
    for key in own.get("options", {}):
        if key not in options:
            raise DataError(f"{where}: expected one of the options, found '{key}'")
    for key in ("steps", "goals"):
        for step in own.get(key, ["none"]):
            if step not in steps:
                raise DataError(
                    f"{where}.{key}: expected some of {', '.join(steps)}, found '{step}'"
                )
    named = [("each", name) for name in each.values()]
    named += [("tune", name) for name in itertools.chain(*own.get("tune", {}).items())]
    for key, name in named:
        if name not in settings:
            raise DataError(f"{where}.{key}: expected the name of a setting, found '{name}'")


def _tuning(
    document: Document, systems: Sequence[System], steps: Mapping[str, StepTemplate]
) -> Tuning:
    tuning = from_table(Tuning, document.get("tuning", {}), "tuning")
    first = next((system.name for system in systems if system.tune), None)
    if first is not None:
        for key in ("file", "figure", "goals"):
            if not getattr(tuning, key):
                raise DataError(f"tuning: has no '{key}', and system '{first}' is tuned")
    for goal in tuning.goals:
        if goal not in steps:
            raise DataError(f"tuning.goals: expected some of {', '.join(steps)}, found '{goal}'")
    return tuning


def _known(names: Sequence[Any], systems: Sequence[str], what: str) -> Tuple[str, ...]:
    for name in names:
        if name not in systems:
            raise DataError(f"{what}: expected some of {', '.join(systems)}, found '{name}'")
    return tuple(names)


def _check_step(step: StepTemplate) -> None:
    where = f"steps.{step.name}"
    if step.per not in ("run", "seed", "experiment"):
        raise DataError(f"{where}.per: expected run, seed or experiment, found '{step.per}'")
    try:
        re.compile(step.shows)
    except re.error as error:
        raise DataError(f"{where}.shows: no regular expression: {error}") from None


def _each(kind: Any, document: Document, key: str) -> Tuple[Any, ...]:
    tables = document.get(key, [])
    return tuple(from_table(kind, table, f"{key}[{number}]") for number, table in enumerate(tables))


def _comparisons(document: Document, names: Sequence[str], origins: Sequence[str]) -> Comparisons:
    table = document.get("comparisons", {})
    for key in table:
        if key not in ("baseline", "pairs"):
            raise DataError(f"comparisons: expected baseline and pairs, found '{key}'")
    baseline = table.get("baseline", "")
    if baseline:
        _known([baseline], names, "comparisons.baseline")
    pairs = []
    for pair in table.get("pairs", []):
        if not isinstance(pair, list) or len(pair) != 2:
            raise DataError(f"comparisons.pairs: expected two systems, found {pair!r}")
        pairs.append((str(pair[0]), str(pair[1])))
    return Comparisons(baseline, tuple(pairs))
