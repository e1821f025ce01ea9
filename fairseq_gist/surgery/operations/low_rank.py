"""Giving a projection low-rank differences: it stays shared, and groups own what is added to it.

A difference begins as zero, so the function stays exactly what it is.
"""

from __future__ import annotations

from typing import Dict, List, MutableMapping, Optional, Tuple

from torch import Tensor, nn

from fairseq_gist.errors import CheckpointError, PlanError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.leaves import leaf_of
from fairseq_gist.nn.low_rank import WithDifference, new_difference
from fairseq_gist.sharing.low_rank import Projection, low_rank_units
from fairseq_gist.surgery.operations.base import Change, Operation, entries_at
from fairseq_gist.surgery.units import Unit, module_at, module_if_there
from fairseq_gist.surgery.workbench import Workbench

__all__ = ["OPERATION", "AddDifference", "projection_of"]


class AddDifference(Operation):
    """Gives one projection differences, one for all languages; a split makes more of it.

    Args:
        unit: path of the projection.
        rank: of the differences.
        paths: of the unit's modules.
    """

    name, order = "low-rank", 5

    def __init__(self, unit: str, rank: int, paths: Tuple[str, ...]) -> None:
        self.unit, self.rank, self.paths = unit, rank, paths

    @classmethod
    def between(cls, change: Change) -> List[AddDifference]:
        """Return one for every projection that has differences now and hadn't."""
        new = change.after.low_rank_beyond(change.before)
        return [cls(unit, rank, change.paths_of(unit)) for unit, rank in new.items()]

    def check(self, model: nn.Module) -> None:
        """Check that there is a plain projection, and that the rank is less than its own.

        Raises:
            PlanError: when there isn't, it shares its weight with another module, or lies in an
                adapter, which is a low-rank difference to a layer itself.
        """
        if is_in_adapter(self.unit):
            raise PlanError(
                f"the plan has low-rank differences to '{self.unit}', a part of an adapter: these "
                "can't have any"
            )
        if len(self.paths) > 1:
            raise PlanError(
                f"the plan has low-rank differences to '{self.unit}', whose weight is tied to "
                f"'{self.paths[1]}': these can't have any"
            )
        module = module_if_there(model, self.unit)
        own = None if module is None else projection_of(module)
        if own is None:
            found = "nothing" if module is None else type(module).__name__
            raise PlanError(
                f"the plan has low-rank differences to '{self.unit}': expected a plain projection, "
                f"found {found}; a unit that is split can't have any"
            )
        if self.rank > min(own):
            raise PlanError(
                f"the plan has differences of rank {self.rank} to '{self.unit}', which is of rank "
                f"{min(own)} itself ({own.inputs} to {own.outputs} features); give it less"
            )

    def units_after(self, units: Dict[str, Unit], model: nn.Module) -> Dict[str, Unit]:
        """Return ``units`` with both parts in the place of the projection."""
        own = projection_of(module_at(model, self.unit))
        assert own is not None
        after: Dict[str, Unit] = {}
        for name, unit in units.items():
            if name != self.unit:
                after[name] = unit
                continue
            base, difference = low_rank_units(name)
            after[base] = Unit(base, (base,), unit.parameters, unit.is_default)
            size = own.difference_size(self.rank)
            after[difference] = Unit(difference, (difference,), size, unit.is_default)
        return after

    def build(self, bench: Workbench) -> None:
        """Build the sum beside the model."""
        base = bench.module(self.unit)
        difference = new_difference(base.weight, self.rank, self.unit)
        for parameter in difference.parameters():
            bench.lineage.add_fresh(parameter)
        bench.put(self.unit, WithDifference(base, difference))

    def expand(self, state: MutableMapping[str, Tensor], model: nn.Module) -> None:
        """Move the projection's entries, and add a difference that is none."""
        own = entries_at(state, self.unit)
        if "weight" not in own:
            raise CheckpointError(
                f"the checkpoint has no weight of '{self.unit}', to which the plan has differences"
            )
        base, difference = low_rank_units(self.unit)
        for name in own:
            state[f"{base}.{name}"] = state.pop(f"{self.unit}.{name}")
        new = new_difference(own["weight"], self.rank, self.unit)
        for name, parameter in new.named_parameters():
            state[f"{difference}.{name}"] = parameter.detach()

    def extract(self, state: MutableMapping[str, Tensor], language: str) -> None:
        """Add the difference to the projection's weight."""
        base, difference = low_rank_units(self.unit)
        own, pair = entries_at(state, base), entries_at(state, difference)
        weight, down, up = own.get("weight"), pair.get("down"), pair.get("up")
        if down is None or up is None or weight is None:
            raise CheckpointError(
                f"the checkpoint's plan has low-rank differences to '{self.unit}', and of weight, "
                "'down' and 'up' one is missing: it is damaged"
            )
        if [*down.shape, *up.shape] != [self.rank, weight.size(1), weight.size(0), self.rank]:
            raise CheckpointError(
                f"the checkpoint's plan has differences of rank {self.rank} to '{self.unit}', and "
                f"these are of {tuple(up.shape)} times {tuple(down.shape)}: it is damaged"
            )
        for name in pair:
            del state[f"{difference}.{name}"]
        for name in own:
            state[f"{self.unit}.{name}"] = state.pop(f"{base}.{name}")
        merged = weight.float() + up.float() @ down.float()
        state[f"{self.unit}.weight"] = merged.to(weight.dtype)


OPERATION = AddDifference


def projection_of(module: nn.Module) -> Optional[Projection]:
    """Return the widths of a module to which differences can be added, None for others."""
    leaf = leaf_of(module)
    return None if leaf is None else leaf.projection(module)
