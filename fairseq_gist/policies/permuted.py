"""Another plan with its languages exchanged: what a plan has to beat if it matters who shares.

Each unit keeps as many groups, as large, so the model has the same size and splits the same units,
whose gradients are what they are: only the languages change places, the same way on all units. The
permutation comes from a hash of the names, so a seed means the same one on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, FrozenSet, Iterable, Optional, Sequence, Set

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.policies.base import PlanSeed, Policy, option
from fairseq_gist.policies.drawing import shuffled
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Permuted", "permutation"]


def permutation(languages: Sequence[str], seed: int) -> Dict[str, str]:
    """Return which language takes the place of which; two or more never all stay where they are."""
    place = sorted(languages)
    drawn = shuffled(place, [seed])
    if drawn == place:
        drawn = [*place[1:], *place[:1]]
    return dict(zip(place, drawn))


class Permuted(Policy):
    """Split what a plan splits, into groups as large, of other languages."""

    name = "permuted"
    summary = "split as another plan does, the languages' places exchanged by chance"

    @dataclass(frozen=True)
    class Options(PlanSeed):
        """Whose places are exchanged, and the seed of how."""

        permuted_plan: Optional[str] = option(
            None,
            "sharing plan (JSON) whose languages change places, while the same units are split "
            "into groups of the same sizes: the control of the policy that made it",
            metavar="FILE",
        )

    def check(self, situation: Situation) -> None:
        """Read the plan; raises OptionError where none is given, PlanError where it doesn't fit."""
        self._plan(situation)

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan; raises as :meth:`check` does.

        Its provenance says what share of the units that are split have other groups than in the
        plan that was read: a unit that every language has for itself has the same.
        """
        other = self._plan(situation)
        instead = permutation(situation.languages, self.options.plan_seed)
        units = {
            unit: [[instead[language] for language in group] for group in groups]
            for unit, groups in other.units.items()
        }
        split = [unit for unit, groups in other.units.items() if len(groups) > 1]
        moved = sum(_sets(units[unit]) != _sets(other.units[unit]) for unit in split)
        facts = {"units_changed": round(moved / len(split), 4) if split else None}
        return self.plan(situation, units, facts, other.divisions, low_rank=other.low_rank)

    def _plan(self, situation: Situation) -> SharingPlan:
        path = self.options.permuted_plan
        if path is None:
            raise OptionError(
                f"policy '{self.name}' goes by another plan, and none is given", "permuted_plan"
            )
        plan, languages = SharingPlan.load(path), situation.languages
        if plan.languages != languages:
            raise PlanError(
                f"{path}: the model is for languages {', '.join(languages)}, the plan for "
                f"{', '.join(plan.languages)}"
            )
        known = situation.shape.divided(plan.divisions).with_differences(plan.low_rank).units
        unknown = sorted(set(plan.units) - set(known))
        if unknown:
            raise PlanError(
                f"{path}: '{unknown[0]}' is none of the {len(known)} units of the model"
            )
        return plan


def _sets(groups: Iterable[Iterable[str]]) -> Set[FrozenSet[str]]:
    return set(map(frozenset, groups))
