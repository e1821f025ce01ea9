"""``fairseq-gist plan``."""

from __future__ import annotations

import argparse
import re
from typing import List

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.plan import SharingPlan
from fairseq_gist.policies.gradient import gradient_plan
from fairseq_gist.statistics import GradientStatistics
from fairseq_gist.summary import describe_plan

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist record checkpoints/checkpoint_best.pt DATA -o statistics.npz
  fairseq-gist plan gradient --statistics statistics.npz --size-budget 2.5 -o plan.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "policy",
        choices=["gradient", "shared", "language-specific"],
        help="gradient: share where gradients agree most, within the budget; shared: everything; "
        "language-specific: nothing",
    )
    parser.add_argument(
        "--statistics", required=True, metavar="FILE", help="gradient statistics (.npz)"
    )
    parser.add_argument(
        "--size-budget",
        default="2.0",
        metavar="SIZE",
        help="in multiples of the shared model (2.5) or parameters (190.6M); default %(default)s",
    )
    parser.add_argument(
        "--units",
        metavar="REGEX",
        help="decide on these module paths only (default: all that were recorded)",
    )
    parser.add_argument(
        "--within", metavar="PLAN", help="a plan that the new one may only split further"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write")


def run(args: argparse.Namespace) -> None:
    """Decide, write the plan and print it as a table."""
    statistics = GradientStatistics.load(args.statistics)
    if args.units:
        statistics = statistics.select(_matching(args.units, statistics))
    sizes = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    facts = {"shared_parameters": statistics.shared_parameters, "unit_parameters": sizes}
    if args.policy == "gradient":
        within = SharingPlan.load(args.within) if args.within else None
        plan = gradient_plan(statistics, args.size_budget, within)
    elif args.policy == "shared":
        plan = SharingPlan.shared(statistics.languages, statistics.units, policy="shared", **facts)
    else:
        plan = SharingPlan.language_specific(
            statistics.languages, statistics.units, policy="language-specific", **facts
        )
    plan.save(args.output)
    print(describe_plan(plan, sizes, statistics.shared_parameters))


def _matching(pattern: str, statistics: GradientStatistics) -> List[str]:
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise OptionError(f"--units: '{pattern}' is no regular expression: {error}") from None
    chosen = [unit for unit in statistics.units if regex.fullmatch(unit)]
    if not chosen:
        raise StatisticsError(
            f"the gradient statistics are for other units: --units '{pattern}' matches none of the "
            f"{len(statistics.units)} from '{statistics.units[0]}' to '{statistics.units[-1]}'"
        )
    return chosen
