"""Splitting the units that a list says are worth it: measurements, or a score of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, Optional

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import read_json
from fairseq_gist.policies.agglomeration import check_room, size_so_far
from fairseq_gist.policies.base import Policy, SizeBudget, option
from fairseq_gist.policies.copies import FullCopies
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import Partition, SharingPlan

__all__ = ["Ranked", "read_worth"]

_EXPECTED = 'JSON such as {"decoder.layers.0.fc1": 0.013}'


def read_worth(path: str) -> Dict[str, float]:
    """Return unit -> what its split is worth, as a file says.

    Raises:
        DataError: when there is no such file, or it says anything else.
    """
    content = read_json(path, _EXPECTED)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path}: expected {_EXPECTED}, found something else")
    for unit, worth in content.items():
        is_number = isinstance(worth, (int, float)) and not isinstance(worth, bool)
        if not is_number or not math.isfinite(worth):
            raise DataError(f"{path}: '{unit}': expected a number, found {worth!r}")
    return {unit: float(worth) for unit, worth in content.items()}


class Ranked(Policy):
    """Every language has its own copy of the units that are worth most for their parameters.

    What is worth nothing, or less, stays shared, and so does what doesn't fit the budget any more.
    """

    name = "ranked"
    summary = "split what a file of worths says, the most for its parameters first"

    @dataclass(frozen=True)
    class Options(SizeBudget):
        """What units are worth, and how large the model may become."""

        unit_worth: Optional[str] = option(
            None,
            "JSON file that says what the split of each unit is worth, such as "
            '{"decoder.layers.0.fc1": 0.013}: measurements, or a score of one\'s own; what it '
            "doesn't name stays shared",
            metavar="FILE",
        )

    def check(self, situation: Situation) -> None:
        """Read the file; raises OptionError where there is none, DataError where it is none."""
        self._worth(situation)

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan.

        Raises:
            OptionError: when no file is given, or the budget is below the shared model, or below
                the plan so far.
            DataError: when the file isn't as it should be, or names what is no unit.
        """
        worth, copies, languages = (
            self._worth(situation),
            FullCopies(situation),
            situation.languages,
        )
        budget, chosen = self.options.size_budget, situation.chosen()
        limit = parse_budget(budget, situation.shape.shared_parameters)
        size = size_so_far(situation, but_shared=chosen)
        check_room(size, limit, budget)
        alone: Partition = tuple((language,) for language in languages)
        units: Dict[str, Partition] = dict.fromkeys(chosen, (languages,))
        for unit in sorted(worth, key=lambda unit: (-worth[unit] / copies.sizes[unit], unit)):
            cost = copies.cost(unit, len(languages))
            if worth[unit] > 0 and size + cost <= limit:
                units[unit] = alone
                size += cost
        return self.plan(situation, units)

    def _worth(self, situation: Situation) -> Dict[str, float]:
        path = self.options.unit_worth
        if path is None:
            raise OptionError(
                f"policy '{self.name}' goes by a file, and none is given", "unit_worth"
            )
        worth, chosen = read_worth(path), situation.chosen()
        unknown = set(worth) - set(chosen)
        if unknown:
            raise DataError(
                f"{path}: '{min(unknown)}' is none of the {len(chosen)} units that are decided on, "
                f"from '{chosen[0]}' to '{chosen[-1]}'"
            )
        return worth
