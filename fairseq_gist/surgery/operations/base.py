"""What every operation of surgery has to be able to do."""

from __future__ import annotations

from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    List,
    Mapping,
    MutableMapping,
    Optional,
    Set,
    Tuple,
)

from torch import Tensor, nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.sharing.plan import Partition, SharingPlan
from fairseq_gist.surgery.units import Unit
from fairseq_gist.surgery.workbench import Workbench

__all__ = ["Change", "Operation", "entries_at"]


class Change:
    """The way from one plan to another.

    Attributes:
        before: the plan so far; None for a stock model.
        after: the plan to come.
        paths_of: returns the paths of a unit's modules.
        units: those that ``after`` shares otherwise and that no operation has taken on yet.
    """

    def __init__(
        self,
        before: Optional[SharingPlan],
        after: SharingPlan,
        paths_of: Callable[[str], Tuple[str, ...]],
    ) -> None:
        self.before, self.after, self.paths_of = before, after, paths_of
        self.units: Set[str] = {
            unit for unit in after.units if after.units[unit] != self.groups_before(unit)
        }

    def groups_before(self, unit: str) -> Partition:
        """Return how ``unit`` is shared so far."""
        shared = (self.after.languages,)
        return shared if self.before is None else self.before.units.get(unit, shared)


class Operation:
    """One step of surgery.

    On a model it only builds, beside it: nothing changes before all operations are through.

    Attributes:
        name: what the kind is called.
        order: operations of a lower one come first, and have first choice of the units.
        units: those whose sharing it sees to.
    """

    name: ClassVar[str]
    order: ClassVar[int]
    units: Tuple[str, ...] = ()

    @classmethod
    def between(cls, change: Change) -> List[Any]:
        """Return the operations of this kind that ``change`` needs.

        What they are to see to they choose among ``change.units``, and say so in :attr:`units`.
        """
        raise NotImplementedError

    def check(self, model: nn.Module) -> None:
        """Raise PlanError unless it can be done to ``model``, as it is before any operation."""

    def units_after(self, units: Dict[str, Unit], model: nn.Module) -> Dict[str, Unit]:
        """Return the units that ``model`` has once this is done to it, in their order."""
        return units

    def build(self, bench: Workbench) -> None:
        """Build new modules beside the model, and note where their parameters come from."""
        raise NotImplementedError

    def undo(self, bench: Workbench) -> None:
        """Build what was there before, where no copy was trained.

        Raises:
            SurgeryError: where that isn't known.
        """
        raise SurgeryError(f"'{self.name}' can't be undone in a model")

    def expand(self, state: MutableMapping[str, Tensor], model: nn.Module) -> None:
        """Do to a state dict what was done to ``model``, which it is to be loaded into.

        Raises:
            CheckpointError: when the state lacks what is needed.
        """
        raise NotImplementedError

    def extract(self, state: MutableMapping[str, Tensor], language: str) -> None:
        """Put into a state dict, in the place of what the groups have, what one language has."""
        raise NotImplementedError


def entries_at(state: Mapping[str, Tensor], path: str) -> Dict[str, Tensor]:
    """Return what a state dict has of the very module at ``path``."""
    start = f"{path}."
    return {
        key[len(start) :]: tensor
        for key, tensor in state.items()
        if key.startswith(start) and "." not in key[len(start) :]
    }
