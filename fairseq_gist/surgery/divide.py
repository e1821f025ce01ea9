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

from fairseq_gist.errors import OptionError, PlanError, SurgeryError
from fairseq_gist.nn.divided import DividedInput, DividedOutput
from fairseq_gist.nn.leaves import Leaf, leaf_of
from fairseq_gist.nn.wrapping import unwrap
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
        made, read = _neurons(model, first, True), _neurons(model, second, False)
        if made is not None and read is not None:
            found[first] = (second, read)
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
            width = _neurons(model, path, kind == "makes")
            if width is None:
                module = _module(model, path)
                found = "nothing" if module is None else type(module).__name__
                raise PlanError(
                    f"the plan divides the hidden units of '{first}': expected a plain projection "
                    f"at '{path}', found {found}; a unit that is split as a whole can't be divided"
                )
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
        parameters = _parameters(module_at(model, name))
        cuts = _cuts(parameters, *pieces[name])
        for part in (SHARED, OWN):
            size = sum(_size_after(parameters[cut.name], cut, part) for cut in cuts)
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
            unwrap(whole)
            cuts = _cuts(_parameters(whole), division, path == first)
            parts[path] = _parts_of(whole, cuts, lineage)
        replace_module(model, first, DividedOutput(**parts[first]))
        second = DividedInput(**parts[division.second], shared_width=len(division.shared))
        replace_module(model, division.second, second)
    return lineage


def divide_state(state: MutableMapping[str, Tensor], divisions: Mapping[str, Division]) -> None:
    """Divide the blocks of a state dict likewise; entries of projections it lacks are left out."""
    for path, division, is_first in _paths(divisions):
        for cut in _cuts(_entries(state, path), division, is_first):
            tensor = state.pop(f"{path}.{cut.name}")
            for part, positions in cut.positions.items():
                state[f"{path}.{part}.{cut.name}"] = _take(tensor, cut, positions)


def join_state(state: MutableMapping[str, Tensor], divisions: Mapping[str, Division]) -> None:
    """Put divided blocks of a state dict together again, hidden units in their first order.

    Every part must be there once: of one language's export, or never split.
    """
    for path, division, is_first in _paths(divisions):
        pieces = {part: _entries(state, f"{path}.{part}") for part in (SHARED, OWN)}
        for part, entries in pieces.items():
            for name in entries:
                del state[f"{path}.{part}.{name}"]
        order = torch.tensor(division.shared + division.own)
        for name, shared in pieces[SHARED].items():
            state[f"{path}.{name}"] = shared
            if name in pieces[OWN]:
                both = torch.cat([shared, pieces[OWN][name]], _dim(is_first))
                joined = torch.empty_like(both).index_copy_(
                    _dim(is_first), order.to(both.device), both
                )
                state[f"{path}.{name}"] = joined


def _neurons(model: nn.Module, path: str, is_first: bool) -> Optional[int]:
    """Return how many neurons the module at ``path`` makes, if it is the first, or reads."""
    module = _module(model, path)
    leaf = None if module is None else leaf_of(module)
    if module is None or leaf is None:
        return None
    return leaf.neurons_made(module) if is_first else leaf.neurons_read(module)


def _module(model: nn.Module, path: str) -> Optional[nn.Module]:
    try:
        return module_at(model, path)
    except AttributeError:
        return None


def _paths(divisions: Mapping[str, Division]) -> Iterator[Tuple[str, Division, bool]]:
    for first, division in divisions.items():
        yield first, division, True
        yield division.second, division, False


def _parameters(module: nn.Module) -> Dict[str, Tensor]:
    return dict(module.named_parameters(recurse=False))


def _entries(state: Mapping[str, Tensor], path: str) -> Dict[str, Tensor]:
    """Return what a state dict has of the very module at ``path``."""
    start = f"{path}."
    return {
        key[len(start) :]: tensor
        for key, tensor in state.items()
        if key.startswith(start) and "." not in key[len(start) :]
    }


def _dim(is_first: bool) -> int:
    """Return the dimension of parameters along which neurons lie; see :class:`Leaf`."""
    return 0 if is_first else 1


def _cuts(parameters: Mapping[str, Tensor], division: Division, is_first: bool) -> List[_Cut]:
    """Say where the parameters of a projection go; those without neurons stay with the shared."""
    positions = {SHARED: torch.tensor(division.shared), OWN: torch.tensor(division.own)}
    dim = _dim(is_first)
    return [
        _Cut(
            name,
            dim,
            positions
            if tensor.dim() > dim and tensor.size(dim) == division.hidden
            else {SHARED: torch.tensor([])},
        )
        for name, tensor in parameters.items()
    ]


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
        parts[part] = _leaf(whole).part(whole, made)
    return parts


def _leaf(module: nn.Module) -> Leaf:
    leaf = leaf_of(module)
    if leaf is None:
        raise SurgeryError(f"a {type(module).__name__} can't be divided")
    return leaf
