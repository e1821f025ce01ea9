"""``fairseq-gist show``."""

from __future__ import annotations

import argparse
from pathlib import Path

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import PlanError
from fairseq_gist.files.outputs import (
    LOSSES,
    PLAN,
    SCORES,
    STATISTICS,
    TABLE,
    TRANSLATIONS,
    kind_of,
)
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist show plan.json
  fairseq-gist show checkpoints/checkpoint_best.pt"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", help="a sharing plan (JSON) or a checkpoint (.pt)")
    parser.add_argument("--json", action="store_true", help="print the plan's JSON instead")
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Print a table of units x groups, with parameter counts."""
    file = Path(args.file)
    kind = kind_of(file) if file.is_file() else None
    if kind == STATISTICS:
        raise PlanError(
            f"{file} is gradient statistics, which have no plan: 'fairseq-gist plan' decides by "
            "them, and 'fairseq-gist report' draws them"
        )
    if kind in (SCORES, LOSSES, TABLE, TRANSLATIONS):
        raise PlanError(f"{file}: expected a sharing plan, or a checkpoint, found {kind}")
    if kind == PLAN or file.suffix == ".json":
        plan = SharingPlan.load(args.file)
    else:
        plan = _from_checkpoint(args.file, args.trust_checkpoint)
    print(plan.to_json() if args.json else describe_plan(plan, recognise(plan.units)))


def _from_checkpoint(path: str, trusted: bool) -> SharingPlan:
    """Return the plan of a checkpoint, with the sizes that its parameters have."""
    from fairseq_gist.surgery.plan_buffer import plan_in_state
    from fairseq_gist.surgery.state import parameters_in_state, unit_sizes_in_state

    state = read_checkpoint(path, trusted)["model"]
    plan = plan_in_state(state)
    total = parameters_in_state(state)
    if plan is None:
        raise PlanError(
            f"{path} has no sharing plan: it was never differentiated, and all of its {total:,} "
            "parameters are shared"
        )
    sizes = unit_sizes_in_state(state, plan)
    return plan.replaced(sizes=sizes, shared_parameters=total - plan.size(0, sizes))
