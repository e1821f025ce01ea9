"""``fairseq-gist plan``."""

from __future__ import annotations

import argparse
from typing import Optional

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.policy_arguments import add_policy_arguments, chosen_policy
from fairseq_gist.cli.unit_sources import UnitSource, add_source_arguments, read_source
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.files.outputs import PLAN, add_force_option, check_output
from fairseq_gist.policies import find_policies
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["EXAMPLE", "add_arguments", "run"]

_POLICIES = find_policies()
_WIDTH = max(map(len, _POLICIES))

EXAMPLE = "\n".join(
    [
        "policies:",
        *(f"  {name:{_WIDTH}}  {policy.summary}" for name, policy in _POLICIES.items()),
        "",
        "example:",
        "  fairseq-gist record checkpoints/checkpoint_best.pt DATA -o statistics.npz",
        "  fairseq-gist plan gradient --statistics statistics.npz --size-budget 2.5 -o plan.json",
        "  fairseq-gist plan random --checkpoint checkpoints/checkpoint_best.pt \\",
        "      --languages de,es --size-budget 190.2M --plan-seed 3 -o random.json",
        "  fairseq-gist plan attention --arch s2t_transformer_m --dict-size 10000 \\",
        "      --languages de,es,fr,it,nl,pt,ro,ru --count",
        "  fairseq-gist record checkpoints/checkpoint_best.pt DATA --neurons -o neurons.npz",
        "  fairseq-gist plan gdps --statistics neurons.npz --gdps-shared 0.5 -o plan.json",
    ]
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("policy", choices=list(_POLICIES), metavar="POLICY", help="see below")
    add_source_arguments(parser)
    parser.add_argument(
        "--units",
        metavar="REGEX",
        help="decide on these module paths only; the others stay as they are (default: all that "
        "were recorded, or the decoder's)",
    )
    parser.add_argument(
        "--within", metavar="PLAN", help="a plan that the new one may only split further"
    )
    parser.add_argument(
        "--count",
        action="store_true",
        help="print only the number of parameters of the model that the plan describes",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="the plan, a JSON file; needed without --count"
    )
    add_force_option(parser)
    add_policy_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Decide, write the plan and print it as a table."""
    if args.output is None and not args.count:
        raise OptionError("-o: name the file to write, or ask for --count alone")
    if args.output is not None:
        inputs = [args.statistics, args.checkpoint, args.within]
        check_output(args.output, kind=PLAN, inputs=inputs, force=args.force)
    policy = chosen_policy(args)
    if policy.needs_statistics and args.statistics is None:
        raise OptionError(
            f"policy '{policy.name}' decides from gradients: record them ('fairseq-gist record') "
            "and name the file, with --statistics"
        )
    source = read_source(args)
    within = _within(args.within, source)
    plan = policy.decide(Situation(source.shape, source.statistics, within, args.units))
    if args.output is not None:
        plan.save(args.output)
    if args.count:
        shared = source.shape.shared_parameters
        total = plan.size(shared, plan.sizes)
        print(f"{policy.name} {total:,} ({total / shared:.2f} times shared)")
    else:
        print(describe_plan(plan, recognise(plan.units)))


def _within(path: Optional[str], source: UnitSource) -> Optional[SharingPlan]:
    if path is None:
        return source.within
    plan = SharingPlan.load(path)
    _check_within(path, plan, source)
    if source.within is not None:
        plan.check_refines(source.within)
    return plan


def _check_within(path: str, plan: SharingPlan, source: UnitSource) -> None:
    """Raise PlanError for a plan of another model; statistics may be of some of its units only."""
    known = source.shape.divided(plan.divisions).units
    strange = [name for name in plan.units if name not in known]
    is_other = recognise(plan.units) is not recognise(source.shape.units)
    if strange and (is_other or source.statistics is None):
        raise PlanError(
            f"--within {path} names '{strange[0]}', which is no unit of the model "
            f"({len(strange)} of {len(plan.units)}); was the plan made for another architecture?"
        )
