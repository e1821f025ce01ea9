"""The control of the gdps policy: a plan of the same size, with everything else left to chance."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Sequence

from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["gdps_random_plan"]


def gdps_random_plan(plan: SharingPlan, seed: int) -> SharingPlan:
    """Return ``plan`` with other languages in its groups and other hidden units divided off.

    Which blocks are divided, how many hidden units of each, and how large the groups are stays as
    it is, and so does the number of parameters. The order is that of a hash of the names, so that a
    seed means the same plan on every machine.

    Args:
        plan: of the gdps policy; only the blocks that it has decided on are changed.
        seed: of the order.
    """
    divisions: Dict[str, Division] = dict(plan.divisions)
    units: Dict[str, Any] = dict(plan.units)
    for first in plan.blocks:
        if first not in divisions:
            continue
        division = divisions[first]
        drawn = _shuffled(list(range(division.hidden)), [seed, first, "hidden units"])
        own = sorted(drawn[: len(division.own)])
        divisions[first] = Division(division.second, division.hidden, tuple(own))
        parts = divided_units(first, division)[2:]
        languages = iter(_shuffled(list(plan.languages), [seed, first, "languages"]))
        groups = tuple(tuple(next(languages) for _ in group) for group in plan.units[parts[0]])
        units.update(dict.fromkeys(parts, groups))
    provenance = {**plan.provenance, "policy": "gdps-random", "seed": seed}
    return plan.replaced(units=units, provenance=provenance, divisions=divisions)


def _shuffled(items: Sequence[Any], key: List[Any]) -> List[Any]:
    def drawn(item: Any) -> str:
        return hashlib.sha256(json.dumps([*key, item]).encode()).hexdigest()

    return sorted(items, key=drawn)
