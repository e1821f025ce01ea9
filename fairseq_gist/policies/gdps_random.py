"""The control of the gdps policy: a plan of the same size, with everything else left to chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

from fairseq_gist.policies.base import PlanSeed
from fairseq_gist.policies.drawing import shuffled
from fairseq_gist.policies.gdps import Gdps
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["GdpsRandom"]


class GdpsRandom(Gdps):
    """As gdps, with other languages in its groups and other neurons divided off.

    Which blocks are divided, how many neurons of each, and how large the groups are stays as it is,
    and so does the number of parameters. The order is that of a hash of the names, so that a seed
    means the same plan on every machine.
    """

    name = "gdps-random"
    summary = "as gdps, but which languages and neurons is left to chance: its control"

    @dataclass(frozen=True)
    class Options(PlanSeed, Gdps.Options):
        """Those of gdps, and the seed of the order."""

    def decide(self, situation: Situation) -> SharingPlan:
        """Return what gdps decides, drawn anew; see there for the errors."""
        plan, seed = super().decide(situation), self.options.plan_seed
        divisions: Dict[str, Division] = dict(plan.divisions)
        units: Dict[str, Any] = dict(plan.units)
        for first in plan.blocks:
            if first not in divisions:
                continue
            division = divisions[first]
            # the word is part of what a seed means
            drawn = shuffled(range(division.neurons), [seed, first, "hidden units"])
            own = sorted(drawn[: len(division.own)])
            divisions[first] = Division(division.second, division.neurons, tuple(own))
            parts = divided_units(first, division)[2:]
            languages = iter(shuffled(plan.languages, [seed, first, "languages"]))
            groups = tuple(tuple(next(languages) for _ in group) for group in plan.units[parts[0]])
            units.update(dict.fromkeys(parts, groups))
        return plan.replaced(units=units, divisions=divisions)
