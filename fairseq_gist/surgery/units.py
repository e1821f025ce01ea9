"""The units of a model: its smallest parts that languages can share or own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from torch import nn
from torch.nn import Parameter

from fairseq_gist.errors import OptionError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import leaf_names, leaf_of
from fairseq_gist.sharing.unit_names import (
    DEFAULT_UNITS,
    chosen_units,
    encoder_feed_forward,
    matching,
)

__all__ = [
    "FAST_PATH_COPIES",
    "Unit",
    "count_parameters",
    "count_trained",
    "find_units",
    "module_at",
    "no_units",
    "replace_module",
    "select_units",
]

_BATCH_FIRST = re.compile(
    r"""(?:.+\.)?(?:
        # what fairseq runs before time and batch are swapped, or after they are swapped back
        embed_tokens | layernorm_embedding | output_projection | project_(?:in|out)_dim
        # attention of a Conformer that isn't fairseq's own swaps them too
        | self_attn\.linear_(?:q|k|v|out|pos)
        # convolutions have time last
        | conv_module\.\w+ | subsample\.conv_layers\.\d+
    )""",
    re.VERBOSE,
)
"""Paths of the modules in whose input the rows come first."""

_COMMON = re.compile(r".+\.self_attn\.linear_pos")
"""Paths of the modules whose input, relative positions, is the same for all rows.

Stock attention gives them one row, which a model has to repeat where languages differ on the unit.
"""

FAST_PATH_COPIES = tuple(
    f"{projection}_{kind}"
    for projection in ("in_proj", "out_proj", "fc1", "fc2")
    for kind in ("weight", "bias")
)
"""Parameters in which fairseq 0.12.2 keeps a second, untrained copy of an encoder layer."""


@dataclass(frozen=True)
class Unit:
    """One unit: a module, or several that share their weight.

    Attributes:
        name: path of the first module.
        paths: paths of all its modules; more than one where a weight is tied.
        parameters: number of parameters of one copy.
    """

    name: str
    paths: Tuple[str, ...]
    parameters: int

    @staticmethod
    def batch_dim(path: str, model: Optional[nn.Module] = None) -> int:
        """Return where the rows of the batch are in the input of the module at ``path``.

        A ``model`` with an attribute ``batch_first`` that is true has them first everywhere.
        """
        first = getattr(model, "batch_first", False) or _BATCH_FIRST.fullmatch(path)
        return 0 if first else 1

    @staticmethod
    def is_common(path: str) -> bool:
        """Return whether all rows of the input of the module at ``path`` are the same."""
        return bool(_COMMON.fullmatch(path))

    @staticmethod
    def reads_source(path: str) -> bool:
        """Return whether the input of the module at ``path`` is the encoder's output."""
        return path.endswith((".encoder_attn.k_proj", ".encoder_attn.v_proj"))


def module_at(model: nn.Module, path: str) -> nn.Module:
    """Return the submodule at ``path`` (``a.b.0.c``)."""
    for name in path.split("."):
        model = getattr(model, name)
    return model


def replace_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put ``module`` at ``path``, in the place (and so the parameter order) of the old one."""
    parent, _, name = path.rpartition(".")
    setattr(module_at(model, parent) if parent else model, name, module)


def find_units(model: nn.Module) -> Dict[str, Unit]:
    """Return everything in ``model`` that could be a unit, by name, in the model's order."""
    by_weight: Dict[int, List[str]] = {}
    for path, module in _leaves(model):
        weight = _one_copy(module).weight
        by_weight.setdefault(id(weight), []).append(path)
    return {
        paths[0]: Unit(paths[0], tuple(paths), _parameters_of_one(model, paths))
        for paths in by_weight.values()
    }


def select_units(
    units: Mapping[str, Unit],
    pattern: Optional[str] = None,
    refused: Optional[Mapping[str, str]] = None,
    hidden_units: bool = False,
) -> Dict[str, Unit]:
    """Return the units whose whole name matches ``pattern``, default those of the paper.

    Args:
        units: of the model.
        pattern: regular expression for whole names.
        refused: what is no unit and why, see :func:`no_units`; told where nothing else matches.
        hidden_units: whether the default is instead where neurons are divided, see
            :func:`~fairseq_gist.sharing.unit_names.encoder_feed_forward`.

    Raises:
        OptionError: when the pattern is no regular expression, or matches nothing.
    """
    if not units:
        raise OptionError(f"the model has no {_kinds()} that could be a unit")
    if pattern and refused and not matching(pattern, units):
        name = next(iter(matching(pattern, refused)), None)
        if name is not None:
            raise OptionError(f"--units: '{name}' can't be split: {refused[name]}")
    if hidden_units and pattern is None:
        return {name: units[name] for name in encoder_feed_forward(units)}
    return {name: units[name] for name in chosen_units(pattern or DEFAULT_UNITS, units)}


def no_units(model: nn.Module) -> Dict[str, str]:
    """Return the parameters, and modules with parameters, that can't be units, and why."""
    found: Dict[str, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, GroupedModule) or ".copies." in path or leaf_of(module) is not None:
            continue
        if hasattr(module, "can_use_fastpath"):
            own = {name: p for name, p in own.items() if name not in FAST_PATH_COPIES}
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

    Left out are the second copies of encoder layers that fairseq 0.12.2 keeps for its fast path:
    they are never trained, and without them the counts are those of the papers.
    """
    return sum(parameter.numel() for parameter in _unique_parameters(model))


def count_trained(model: nn.Module) -> int:
    """Return how many of the parameters that :func:`count_parameters` counts aren't frozen."""
    return sum(
        parameter.numel() for parameter in _unique_parameters(model) if parameter.requires_grad
    )


def _unique_parameters(model: nn.Module) -> Iterator[Parameter]:
    seen = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if hasattr(module, "can_use_fastpath") and name in FAST_PATH_COPIES:
                continue
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter


def _kinds() -> str:
    *names, last = leaf_names()
    return f"{', '.join(names)} or {last}"


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
        elif leaf_of(module) is not None and module.weight is not None:
            yield path, module


def _one_copy(module: nn.Module) -> nn.Module:
    return module.copies[0] if isinstance(module, GroupedModule) else module


def _parameters_of_one(model: nn.Module, paths: List[str]) -> int:
    parameters = {
        id(parameter): parameter.numel()
        for path in paths
        for parameter in _one_copy(module_at(model, path)).parameters()
    }
    return sum(parameters.values())
