"""Low-rank differences: what groups own of a projection that stays shared.

A projection ``W`` becomes ``W + up @ down``: ``W`` is shared as before, and every group of
languages has a ``down``, `[rank, inputs]`, and an ``up``, `[outputs, rank]`, of its own (Hu et al.,
"LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022, section 4.1; here a plan says who
shares one).
"""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, NamedTuple, Tuple

from fairseq_gist.errors import PlanError

__all__ = ["BASE", "DIFFERENCE", "Projection", "check_ranks", "low_rank_units", "whole_of"]

BASE, DIFFERENCE = "base", "difference"
"""Names of the two parts: units are ``<path>.base``, ``<path>.difference``."""

_PARTS = re.compile(rf"(?:\.(?:{BASE}|{DIFFERENCE}))+$")


class Projection(NamedTuple):
    """How many features a projection reads and makes."""

    inputs: int
    outputs: int

    def difference_size(self, rank: int) -> int:
        """Return the parameters of one difference of that rank."""
        return rank * (self.inputs + self.outputs)


def low_rank_units(unit: str) -> Tuple[str, str]:
    """Return the units that a projection with differences has in the place of itself."""
    return f"{unit}.{BASE}", f"{unit}.{DIFFERENCE}"


def whole_of(path: str) -> str:
    """Return the path of the projection that ``path`` is a part of, or else ``path``.

    >>> whole_of("decoder.layers.0.fc1.difference"), whole_of("decoder.layer_norm")
    ('decoder.layers.0.fc1', 'decoder.layer_norm')
    """
    return _PARTS.sub("", path)


def check_ranks(ranks: Mapping[str, Any], units: Mapping[str, Any]) -> Dict[str, int]:
    """Return the ranks of a plan, by unit, once they make sense beside the plan's ``units``.

    Raises:
        PlanError: for a rank that is no number from 1 on, and where the plan speaks of a whole
            projection of which it says a rank, or not of its difference.
    """
    for unit, rank in ranks.items():
        base, difference = low_rank_units(unit)
        if type(rank) is not int or not 0 < rank < 1 << 31:
            raise PlanError(f"rank of '{unit}': expected a number from 1 on, found {rank!r}")
        if whole_of(unit) != unit:
            raise PlanError(f"'{unit}' is a part of a projection that has differences already")
        if unit in units:
            raise PlanError(
                f"unit '{unit}' has low-rank differences: the plan should name its parts, '{base}' "
                f"and '{difference}'"
            )
        if difference not in units:
            raise PlanError(f"'{unit}' has rank {rank}, and the plan lacks its '{difference}'")
    return dict(ranks)
