"""What surgery can do to a model, one operation a file of this package.

A file has a class ``OPERATION`` that finds, between two plans, what of its kind there is to do, and
does it alike to a model, to the optimizer's state (by lineage) and to a state dict, and back.
"""

from __future__ import annotations

import functools
from typing import Callable, List, Optional, Tuple, Type

from fairseq_gist.discovery import found_in
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.operations.base import Change, Operation

__all__ = ["Operation", "operations_between"]


@functools.lru_cache(maxsize=None)
def _kinds() -> List[Type[Operation]]:
    return sorted(found_in(__name__, "OPERATION", Operation).values(), key=lambda kind: kind.order)


def operations_between(
    before: Optional[SharingPlan],
    after: SharingPlan,
    paths_of: Callable[[str], Tuple[str, ...]],
) -> List[Operation]:
    """Return what makes a model that follows ``before`` one that follows ``after``, in order.

    Args:
        before: None for a stock model.
        after: a plan that refines it.
        paths_of: returns the paths of the modules of a unit, of which those that share a weight
            have several.
    """
    change = Change(before, after, paths_of)
    found: List[Operation] = []
    for kind in _kinds():
        own = kind.between(change)
        change.units.difference_update(*(operation.units for operation in own))
        found += own
    return found
