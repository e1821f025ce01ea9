"""Dividing the hidden units of feed-forward blocks in a model, and in a state dict.

The block ``second(activation(first(x)))`` stays the function it is: rows of the first weight and
columns of the second go to one of two parts, and the sum over hidden units is made of two sums.
"""

from __future__ import annotations

from typing import (
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    MutableMapping,
    NamedTuple,
    Optional,
    Tuple,
)

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.nn.divided import DividedInput, DividedOutput
from fairseq_gist.nn.shared import release
from fairseq_gist.sharing.division import OWN, SHARED, Division
from fairseq_gist.sharing.unit_names import feed_forward_blocks
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.units import Unit, module_at, replace_module

__all__ = [
    "check_divisions",
    "divide",
    "divide_state",
    "divisible_blocks",
    "join_state",
    "units_after",
]


class _Cut(NamedTuple):
    """What becomes of one parameter of a projection: which of its entries go to which part."""

    name: str
    dim: int
    positions: Mapping[str, Tensor]
    """By part; a part that isn't there has no such parameter."""


def divisible_blocks(model: nn.Module, units: Iterable[str]) -> Dict[str, Tuple[str, int]]:
    """Return the blocks among ``units`` whose hidden units can be divided.

    Returns:
        First projection -> second projection, number of hidden units.

    Raises:
        OptionError: when there is none.
    """
    names = list(units)
    found: Dict[str, Tuple[str, int]] = {}
    for first, second in feed_forward_blocks(names).items():
        modules = [_module(model, path) for path in (first, second)]
        if all(type(module) is nn.Linear for module in modules):
            found[first] = (second, module_at(model, second).in_features)
    if not found:
        raise OptionError(
            f"--units: none of the {len(names)} units, '{names[0]}' first, are the two projections "
            "of a feed-forward block that isn't split yet; choose others"
        )
    return found


def check_divisions(
    model: nn.Module, divisions: Mapping[str, Division], done: Mapping[str, Division]
) -> None:
    """Check that the blocks can be divided.

    Args:
        model: unchanged.
        divisions: by the path of the first projection.
        done: those that the model follows already.

    Raises:
        PlanError: when the two aren't projections of one block, a path is no plain projection, or
            there aren't as many hidden units.
    """
    for first, division in divisions.items():
        if first in done:
            continue
        if first not in feed_forward_blocks((first, division.second)):
            # between others is more than an activation, and which column is which matters there
            raise PlanError(
                f"the plan divides the hidden units between '{first}' and '{division.second}': "
                "expected the two projections of one feed-forward block, in their order"
            )
        for path, kind in ((first, "makes"), (division.second, "reads")):
            module = _module(model, path)
            if module is None or type(module) is not nn.Linear:
                found = "nothing" if module is None else type(module).__name__
                raise PlanError(
                    f"the plan divides the hidden units of '{first}': expected a plain projection "
                    f"at '{path}', found {found}; a unit that is split as a whole can't be divided"
                )
            width = module.out_features if kind == "makes" else module.in_features
            if width != division.hidden:
                raise PlanError(
                    f"the plan divides {division.hidden} hidden units of '{first}', but '{path}' "
                    f"{kind} {width}; was the plan made for another model?"
                )


def units_after(
    units: Mapping[str, Unit], divisions: Mapping[str, Division], model: nn.Module
) -> Dict[str, Unit]:
    """Return the units that a model has when its blocks are divided, in their order."""
    pieces = {
        path: (division, path == first)
        for first, division in divisions.items()
        for path in (first, division.second)
    }
    after: Dict[str, Unit] = {}
    for name, unit in units.items():
        if name not in pieces:
            after[name] = unit
            continue
        cuts = _cuts(module_at(model, name), *pieces[name])
        for part in (SHARED, OWN):
            size = sum(
                _size_after(getattr(module_at(model, name), cut.name), cut, part) for cut in cuts
            )
            after[f"{name}.{part}"] = Unit(f"{name}.{part}", (f"{name}.{part}",), size)
    return after


def divide(model: nn.Module, divisions: Mapping[str, Division]) -> Lineage:
    """Divide blocks that were checked before; the function stays the same, to rounding.

    Returns:
        For every new parameter the one it is a part of, and which.
    """
    lineage = Lineage()
    for first, division in divisions.items():
        parts: Dict[str, Dict[str, nn.Module]] = {}
        for path in (first, division.second):
            whole = module_at(model, path)
            release(whole)
            parts[path] = _parts_of(whole, _cuts(whole, division, path == first), lineage)
        replace_module(model, first, DividedOutput(**parts[first]))
        second = DividedInput(**parts[division.second], shared_width=len(division.shared))
        replace_module(model, division.second, second)
    return lineage


def divide_state(state: MutableMapping[str, Tensor], divisions: Mapping[str, Division]) -> None:
    """Divide the blocks of a state dict likewise; entries of projections it lacks are left out."""
    for path, division, is_first in _paths(divisions):
        for cut in _cuts(None, division, is_first):
            tensor = state.pop(f"{path}.{cut.name}", None)
            if tensor is None:
                continue
            for part, positions in cut.positions.items():
                state[f"{path}.{part}.{cut.name}"] = _take(tensor, cut, positions)


def join_state(state: MutableMapping[str, Tensor], divisions: Mapping[str, Division]) -> None:
    """Put divided blocks of a state dict together again, hidden units in their first order.

    Every part must be there once: of one language's export, or never split.
    """
    for path, division, is_first in _paths(divisions):
        for cut in _cuts(None, division, is_first):
            pieces = {part: state.pop(f"{path}.{part}.{cut.name}", None) for part in cut.positions}
            if any(piece is None for piece in pieces.values()):
                continue
            tensors = [piece for piece in pieces.values() if piece is not None]
            if len(tensors) == 1:
                state[f"{path}.{cut.name}"] = tensors[0]
                continue
            order = torch.cat([cut.positions[part] for part in pieces])
            joined = torch.empty_like(torch.cat(tensors, cut.dim))
            joined.index_copy_(cut.dim, order, torch.cat(tensors, cut.dim))
            state[f"{path}.{cut.name}"] = joined


def _module(model: nn.Module, path: str) -> Optional[nn.Module]:
    try:
        return module_at(model, path)
    except AttributeError:
        return None


def _paths(divisions: Mapping[str, Division]) -> Iterator[Tuple[str, Division, bool]]:
    for first, division in divisions.items():
        yield first, division, True
        yield division.second, division, False


def _cuts(whole: Optional[nn.Module], division: Division, is_first: bool) -> List[_Cut]:
    """Say where the parameters of a projection go; of a module only those that it has."""
    positions = {SHARED: torch.tensor(division.shared), OWN: torch.tensor(division.own)}
    if is_first:
        cuts = [_Cut("weight", 0, positions), _Cut("bias", 0, positions)]
    else:
        cuts = [_Cut("weight", 1, positions), _Cut("bias", 0, {SHARED: torch.tensor([])})]
    return [cut for cut in cuts if whole is None or getattr(whole, cut.name) is not None]


def _size_after(parameter: Tensor, cut: _Cut, part: str) -> int:
    if part not in cut.positions:
        return 0
    if len(cut.positions) == 1:
        return parameter.numel()
    return parameter.numel() // parameter.size(cut.dim) * len(cut.positions[part])


def _take(tensor: Tensor, cut: _Cut, positions: Tensor) -> Tensor:
    if len(cut.positions) == 1:
        return tensor
    return tensor.index_select(cut.dim, positions.to(tensor.device))


def _parts_of(whole: nn.Module, cuts: List[_Cut], lineage: Lineage) -> Dict[str, nn.Module]:
    """Return the two projections that a projection is divided into."""
    parts: Dict[str, nn.Module] = {}
    for part in (SHARED, OWN):
        made: Dict[str, Parameter] = {}
        for cut in cuts:
            if part not in cut.positions:
                continue
            original = getattr(whole, cut.name)
            values = _take(original.detach(), cut, cut.positions[part]).clone()
            parameter = Parameter(values, requires_grad=original.requires_grad)
            made[cut.name] = parameter
            if len(cut.positions) == 1:
                lineage.add(parameter, original)
            else:
                lineage.add_part(parameter, original, cut.dim, cut.positions[part])
        parts[part] = _linear(made)
    return parts


def _linear(made: Mapping[str, Parameter]) -> nn.Linear:
    features_out, features_in = made["weight"].shape
    linear: nn.Linear = torch.nn.utils.skip_init(
        nn.Linear, features_in, features_out, bias="bias" in made
    )
    for name, parameter in made.items():
        setattr(linear, name, parameter)
    return linear
