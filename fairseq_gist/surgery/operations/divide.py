"""Dividing the neurons of feed-forward blocks: some for all languages, some for each group.

The block ``second(activation(first(x)))`` stays the function it is, to rounding: rows of the first
weight and columns of the second go to one of two parts, and the sum over neurons is made of two.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, MutableMapping, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.architectures import architecture_of
from fairseq_gist.errors import CheckpointError, OptionError, PlanError, SurgeryError
from fairseq_gist.nn.divided import DividedInput, DividedOutput
from fairseq_gist.nn.leaves import Leaf, leaf_of
from fairseq_gist.sharing.division import OWN, SHARED, Division
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.operations.base import Change, Operation, entries_at
from fairseq_gist.surgery.units import Unit, module_at, module_if_there
from fairseq_gist.surgery.workbench import Workbench

__all__ = ["OPERATION", "Divide", "divisible_blocks"]


class _Cut(NamedTuple):
    """What becomes of one parameter of a projection: which of its entries go to which part."""

    name: str
    dim: int
    positions: Mapping[str, Tensor]
    """By part; a part that isn't there has no such parameter."""


class Divide(Operation):
    """Divides one block.

    Args:
        first: path of the projection that makes the neurons.
        division: which go where.
    """

    name, order = "divide", 0

    def __init__(self, first: str, division: Division) -> None:
        self.first, self.division = first, division

    @classmethod
    def between(cls, change: Change) -> List[Divide]:
        """Return one for every block that is divided now and wasn't."""
        new = change.after.divisions_beyond(change.before)
        return [cls(first, division) for first, division in new.items()]

    @property
    def _projections(self) -> Tuple[Tuple[str, bool], ...]:
        """Path of each projection, and whether it is the first."""
        return (self.first, True), (self.division.second, False)

    def check(self, model: nn.Module) -> None:
        """Check that the block can be divided.

        Raises:
            PlanError: when the two aren't projections of one block, a path is no plain projection,
                or there aren't as many neurons.
        """
        first, division = self.first, self.division
        if first not in architecture_of(model).feed_forward_blocks((first, division.second)):
            # between others is more than an activation, and which column is which matters there
            there = dict(model.named_modules())
            missing = [path for path in (first, division.second) if path not in there]
            found = (
                f"; the model has no '{missing[0]}'. Was the plan made for another architecture?"
                if missing
                else ""
            )
            raise PlanError(
                f"the plan divides the neurons between '{first}' and '{division.second}': "
                f"expected the two projections of one feed-forward block, in their order{found}"
            )
        for path, is_first in self._projections:
            width = _neurons(model, path, is_first)
            if width is None:
                module = module_if_there(model, path)
                found = "nothing" if module is None else type(module).__name__
                raise PlanError(
                    f"the plan divides the neurons of '{first}': expected a plain projection at "
                    f"'{path}', found {found}; a unit that is split as a whole can't be divided"
                )
            if width != division.neurons:
                raise PlanError(
                    f"the plan divides {division.neurons} neurons of '{first}', but '{path}' "
                    f"{'makes' if is_first else 'reads'} {width}; was the plan made for another "
                    "model?"
                )

    def units_after(self, units: Dict[str, Unit], model: nn.Module) -> Dict[str, Unit]:
        """Return ``units`` with the parts of both projections in their places."""
        pieces = dict(self._projections)
        after: Dict[str, Unit] = {}
        for name, unit in units.items():
            if name not in pieces:
                after[name] = unit
                continue
            parameters = _parameters(module_at(model, name))
            cuts = _cuts(parameters, self.division, pieces[name])
            for part in (SHARED, OWN):
                size = sum(_size_after(parameters[cut.name], cut, part) for cut in cuts)
                own = f"{name}.{part}"
                after[own] = Unit(own, (own,), size, unit.is_default)
        return after

    def build(self, bench: Workbench) -> None:
        """Build both projections in two parts each."""
        parts: List[Dict[str, nn.Module]] = []
        for path, is_first in self._projections:
            whole = bench.module(path)
            cuts = _cuts(_parameters(whole), self.division, is_first)
            parts.append(_parts_of(whole, cuts, bench.lineage))
        first, second = parts
        width = len(self.division.shared)
        bench.put(self.first, DividedOutput(**first))
        bench.put(self.division.second, DividedInput(**second, shared_width=width))

    def expand(self, state: MutableMapping[str, Tensor], model: nn.Module) -> None:
        """Divide the entries of both projections; those that ``state`` lacks are left out."""
        for path, is_first in self._projections:
            for cut in _cuts(entries_at(state, path), self.division, is_first):
                tensor = state.pop(f"{path}.{cut.name}")
                for part, positions in cut.positions.items():
                    state[f"{path}.{part}.{cut.name}"] = _take(tensor, cut, positions)

    def extract(self, state: MutableMapping[str, Tensor], language: str) -> None:
        """Put the parts together again, neurons in their first order."""
        order = torch.tensor(self.division.shared + self.division.own)
        for path, is_first in self._projections:
            dim = _dim(is_first)
            pieces = {part: entries_at(state, f"{path}.{part}") for part in (SHARED, OWN)}
            self._check_pieces(path, pieces, dim)
            for part, entries in pieces.items():
                for name in entries:
                    del state[f"{path}.{part}.{name}"]
            for name, tensor in pieces[SHARED].items():
                if name in pieces[OWN]:
                    both = torch.cat([tensor, pieces[OWN][name]], dim)
                    tensor = torch.empty_like(both).index_copy_(dim, order.to(both.device), both)
                state[f"{path}.{name}"] = tensor

    def _check_pieces(
        self, path: str, pieces: Mapping[str, Mapping[str, Tensor]], dim: int
    ) -> None:
        """Raise CheckpointError unless both parts are there, with all of their neurons."""
        for part, neurons in ((SHARED, self.division.shared), (OWN, self.division.own)):
            weight = pieces[part].get("weight")
            if weight is None or weight.dim() <= dim or weight.size(dim) != len(neurons):
                raise CheckpointError(
                    f"the checkpoint's plan divides '{path}', and of the part '{part}' it has no "
                    f"weight of {len(neurons)} neurons: it is damaged"
                )


OPERATION = Divide


def divisible_blocks(model: nn.Module, units: Iterable[str]) -> Dict[str, Tuple[str, int]]:
    """Return the blocks among ``units`` whose neurons can be divided.

    Returns:
        First projection -> second projection, number of neurons.

    Raises:
        OptionError: when there is none.
    """
    names = list(units)
    found: Dict[str, Tuple[str, int]] = {}
    for first, second in architecture_of(model).feed_forward_blocks(names).items():
        made, read = _neurons(model, first, True), _neurons(model, second, False)
        if made is not None and read is not None:
            found[first] = (second, read)
    if not found:
        raise OptionError(
            f"--units: none of the {len(names)} units, '{names[0]}' first, are the two projections "
            "of a feed-forward block that isn't split yet; choose others"
        )
    return found


def _neurons(model: nn.Module, path: str, is_first: bool) -> Optional[int]:
    """Return how many neurons the module at ``path`` makes, if it is the first, or reads."""
    module = module_if_there(model, path)
    leaf = None if module is None else leaf_of(module)
    if module is None or leaf is None:
        return None
    return leaf.neurons_made(module) if is_first else leaf.neurons_read(module)


def _parameters(module: nn.Module) -> Dict[str, Tensor]:
    return dict(module.named_parameters(recurse=False))


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
            if tensor.dim() > dim and tensor.size(dim) == division.neurons
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
