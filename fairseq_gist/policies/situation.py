"""What a policy decides on: a model's shape, its gradients, and the plan it follows so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from fairseq_gist.errors import OptionError, PlanError, StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.sharing.division import Division
from fairseq_gist.sharing.plan import Partition, SharingPlan
from fairseq_gist.sharing.shape import ModelShape, matches_none, matching

__all__ = ["Situation"]


@dataclass(frozen=True)
class Situation:
    """All that a policy may look at.

    Attributes:
        shape: of the model.
        statistics: of its gradients, where there are some.
        within: the plan that the model follows, or that the new one may only split further.
        pattern: regular expression for the units to decide on; None for a policy's default.

    Raises:
        StatisticsError: when the statistics are for other languages than the model.
        PlanError: when ``within`` is.
    """

    shape: ModelShape
    statistics: Optional[GradientStatistics] = None
    within: Optional[SharingPlan] = None
    pattern: Optional[str] = None

    def __post_init__(self) -> None:
        languages, statistics, within = self.shape.languages, self.statistics, self.within
        if statistics is not None and statistics.languages != languages:
            raise StatisticsError(
                f"the gradient statistics are for languages {', '.join(statistics.languages)}, the "
                f"model for {', '.join(languages)}"
            )
        known = self.shape.units
        other = [u for u in ([] if statistics is None else statistics.units) if u not in known]
        if other:
            raise StatisticsError(
                f"the gradient statistics are for other units: '{other[0]}' is none of the model's "
                f"{len(known)}"
            )
        if within is not None and within.languages != languages:
            raise PlanError(
                f"the model is for languages {', '.join(languages)}, the plan so far for "
                f"{', '.join(within.languages)}"
            )

    @property
    def languages(self) -> Tuple[str, ...]:
        """The model's languages, in alphabetical order."""
        return self.shape.languages

    @property
    def so_far(self) -> SharingPlan:
        """The plan that the model follows; one without units where everything is shared."""
        return SharingPlan(self.languages, {}) if self.within is None else self.within

    @property
    def sizes(self) -> Dict[str, int]:
        """Parameters of one copy of each unit, as the model has them, or else the plan so far."""
        return {**self.so_far.sizes, **self.shape.sizes}

    def chosen(self) -> List[str]:
        """Return the units to decide on: those asked for, or those of the decoder.

        Raises:
            OptionError: when what is asked for is no regular expression, or matches nothing.
        """
        return self.shape.select(self.pattern)

    def recorded(self) -> GradientStatistics:
        """Return the statistics of the units to decide on: those asked for, or all there are.

        Raises:
            OptionError: when there are no statistics.
            StatisticsError: when they are for other units.
        """
        if self.statistics is None:
            raise OptionError("gradient statistics are needed to decide from gradients")
        if self.pattern is None:
            return self.statistics
        units = self.statistics.units
        chosen = matching(self.pattern, units)
        if not chosen:
            raise StatisticsError(
                "the gradient statistics are for other units: "
                + matches_none(self.pattern, list(units))
            )
        return self.statistics.select(chosen)

    def groups_so_far(self, unit: str) -> Partition:
        """Return how the languages are grouped on ``unit``, which may be one that isn't named."""
        return self.so_far.units.get(unit, (self.languages,))

    def plan(
        self,
        units: Mapping[str, Iterable[Iterable[str]]],
        divisions: Optional[Mapping[str, Division]] = None,
        low_rank: Optional[Mapping[str, int]] = None,
    ) -> SharingPlan:
        """Return the plan in which ``units`` are grouped so, and all others as they are so far.

        It names all that a plan must speak of, and knows how large the model becomes.

        Args:
            units: that were decided on -> their groups of languages.
            divisions: of blocks that weren't divided so far.
            low_rank: ranks of projections that had no differences so far.

        Raises:
            StatisticsError: when a unit is split of which neither shape nor plan know the size,
                and the shape comes with statistics.
            PlanError: the same, where there are none; or when the units are no partitions.
        """
        so_far = self.so_far
        divided = {**so_far.divisions, **(divisions or {})}
        ranks = {**so_far.low_rank, **(low_rank or {})}
        shape = self.shape.divided(divided).with_differences(ranks)
        wholes = {path for first, own in divided.items() for path in (first, own.second)} | {*ranks}
        stay = {**dict.fromkeys(shape.default, (self.languages,)), **so_far.units}
        named: Dict[str, Iterable[Iterable[str]]] = {
            unit: groups for unit, groups in stay.items() if unit not in wholes
        }
        named.update(units)
        position = {unit: index for index, unit in enumerate(shape.units)}
        in_order = sorted(named, key=lambda unit: position.get(unit, len(position)))
        sizes = {**so_far.sizes, **shape.sizes}
        plan = SharingPlan(
            self.languages,
            {unit: named[unit] for unit in in_order},
            None,
            divided,
            ranks,
            sizes={unit: sizes[unit] for unit in in_order if unit in sizes},
            shared_parameters=shape.shared_parameters,
        )
        self._check_known(plan)
        return plan

    def _check_known(self, plan: SharingPlan) -> None:
        """Raise an error when a unit is split whose size isn't known."""
        unknown = [u for u, groups in plan.units.items() if len(groups) > 1 and u not in plan.sizes]
        if not unknown:
            return
        found = f"the plan so far splits '{unknown[0]}', which"
        advice = "write its number of parameters into the plan ('sizes')"
        if self.statistics is not None:
            raise StatisticsError(
                f"{found} the statistics lack, so its size isn't known; record gradients of that "
                f"unit too, or {advice}"
            )
        raise PlanError(f"{found} isn't decided on, so its size isn't known; {advice}")
