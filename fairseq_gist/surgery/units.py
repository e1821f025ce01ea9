"""The units of a model: its smallest parts that languages can share or own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from torch import nn
from torch.nn import Parameter

from fairseq_gist.architectures import Architecture, architecture_of
from fairseq_gist.errors import OptionError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import leaf_names, leaf_of
from fairseq_gist.sharing.shape import matches_none, matching

__all__ = [
    "Unit",
    "count_parameters",
    "count_trained",
    "find_units",
    "module_at",
    "module_if_there",
    "no_units",
    "replace_module",
    "select_units",
    "used_parameters",
]


@dataclass(frozen=True)
class Unit:
    """One unit: a module, or several that share their weight.

    Attributes:
        name: path of the first module.
        paths: paths of all its modules; more than one where a weight is tied.
        parameters: number of parameters of one copy.
        is_default: whether a plan must speak of it.
        is_for_neurons: whether policies on single neurons decide on its block unless told.
    """

    name: str
    paths: Tuple[str, ...]
    parameters: int
    is_default: bool = False
    is_for_neurons: bool = False


def _kinds() -> str:
    *names, last = leaf_names()
    return f"{', '.join(names)} or {last}"


def module_at(model: nn.Module, path: str) -> nn.Module:
    """Return the submodule at ``path`` (``a.b.0.c``)."""
    for name in path.split("."):
        model = getattr(model, name)
    return model


def module_if_there(model: nn.Module, path: str) -> Optional[nn.Module]:
    """Return the submodule at ``path``, None where there is none."""
    try:
        return module_at(model, path)
    except AttributeError:
        return None


def replace_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put ``module`` at ``path``, in the place (and so the parameter order) of the old one."""
    parent, _, name = path.rpartition(".")
    setattr(module_at(model, parent) if parent else model, name, module)


def find_units(model: nn.Module) -> Dict[str, Unit]:
    """Return everything in ``model`` that could be a unit, by name, in the model's order."""
    by_weight: Dict[int, List[str]] = {}
    for path, module in _leaves(model):
        weight = _weight(_one_copy(module))
        by_weight.setdefault(id(weight), []).append(path)
    own = architecture_of(model)
    return {
        paths[0]: Unit(
            paths[0],
            tuple(paths),
            _parameters_of_one(model, paths),
            own.is_default(paths[0]),
            own.is_for_neurons(paths[0]),
        )
        for paths in by_weight.values()
    }


def select_units(
    units: Mapping[str, Unit],
    pattern: Optional[str] = None,
    refused: Optional[Mapping[str, str]] = None,
    neurons: bool = False,
) -> Dict[str, Unit]:
    """Return the units whose whole name matches ``pattern``, default those of the paper.

    Args:
        units: of the model.
        pattern: regular expression for whole names.
        refused: what is no unit and why, see :func:`no_units`; told where nothing else matches.
        neurons: whether the default is instead where policies on single neurons decide.

    Raises:
        OptionError: when the pattern is no regular expression, or matches nothing.
    """
    if not units:
        raise OptionError(f"the model has no {_kinds()} that could be a unit")
    if pattern is None:
        chosen = [
            name
            for name, unit in units.items()
            if (unit.is_for_neurons if neurons else unit.is_default)
        ]
    else:
        chosen = matching(pattern, units)
    if not chosen:
        raise OptionError(_nothing_chosen(list(units), pattern, refused or {}, neurons))
    return {name: units[name] for name in chosen}


def _nothing_chosen(
    units: List[str], pattern: Optional[str], refused: Mapping[str, str], neurons: bool
) -> str:
    if pattern is None:
        what = "are split by default"
        if neurons:
            what = "is a projection of an encoder's feed-forward block that isn't divided yet"
        return f"none of the {len(units)} units {what}; choose others (--units)"
    name = next(iter(matching(pattern, refused)), None)
    if name is not None:
        return f"--units: '{name}' can't be split: {refused[name]}"
    return f"--units: {matches_none(pattern, units)}"


def no_units(model: nn.Module) -> Dict[str, str]:
    """Return the parameters, and modules with parameters, that can't be units, and why."""
    found: Dict[str, str] = {}
    architecture = architecture_of(model)
    for path, module in model.named_modules(remove_duplicate=False):
        own = dict(used_parameters(architecture, path, module))
        if isinstance(module, GroupedModule) or ".copies." in path or leaf_of(module) is not None:
            continue
        if own and next(module.children(), None) is None:
            kind = type(module).__name__
            found[path] = f"it is a {kind}, and those that can be are {_kinds()}"
        else:
            for name in own:
                found[f"{path}.{name}" if path else name] = (
                    f"it is a parameter of {type(module).__name__} itself, which reads it without "
                    "a call of any module; languages can only own whole modules"
                )
    return found


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, tied ones counted once.

    Left out is what the architecture keeps without using it: that is never trained, and without it
    the counts are those of the papers.
    """
    return sum(parameter.numel() for parameter in _unique_parameters(model))


def count_trained(model: nn.Module) -> int:
    """Return how many of the parameters that :func:`count_parameters` counts aren't frozen."""
    return sum(
        parameter.numel() for parameter in _unique_parameters(model) if parameter.requires_grad
    )


def used_parameters(
    architecture: Architecture, path: str, module: nn.Module
) -> Iterator[Tuple[str, Parameter]]:
    """Yield name and value of the parameters that the module at ``path`` itself has and uses."""
    prefix = f"{path}." if path else ""
    for name, parameter in module.named_parameters(recurse=False):
        if not architecture.is_unused(prefix + name):
            yield name, parameter


def _unique_parameters(model: nn.Module) -> Iterator[Parameter]:
    seen = set()
    own = architecture_of(model)
    for path, module in model.named_modules():
        for _, parameter in used_parameters(own, path, module):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter


def _leaves(model: nn.Module) -> Iterator[Tuple[str, nn.Module]]:
    """Yield the candidates: plain leaves and grouped modules, not the copies inside them.

    A norm without parameters is none: there is nothing to split.
    """
    grouped: List[str] = []
    # a module registered under two names counts under both, or one of them would be left behind
    for path, module in model.named_modules(remove_duplicate=False):
        if any(path.startswith(f"{prefix}.") for prefix in grouped):
            continue
        if isinstance(module, GroupedModule):
            grouped.append(path)
            yield path, module
        elif _weight(module) is not None:
            yield path, module


def _weight(module: nn.Module) -> Optional[Parameter]:
    """Return the parameter by which a leaf module is known; None for other modules too."""
    leaf = leaf_of(module)
    return None if leaf is None else getattr(module, leaf.weight)


def _one_copy(module: nn.Module) -> nn.Module:
    return module.copies[0] if isinstance(module, GroupedModule) else module


def _parameters_of_one(model: nn.Module, paths: List[str]) -> int:
    parameters = {
        id(parameter): parameter.numel()
        for path in paths
        for parameter in _one_copy(module_at(model, path)).parameters()
    }
    return sum(parameters.values())
