"""``fairseq-gist plan``."""

from __future__ import annotations

import argparse
from typing import Any, Dict, Optional

from fairseq_gist.cli.unit_sources import UnitSource, add_source_arguments, read_source
from fairseq_gist.errors import OptionError
from fairseq_gist.files import check_output
from fairseq_gist.policies.bipartition import GRANULARITIES
from fairseq_gist.policies.conflict import MEASURES
from fairseq_gist.policies.dendrogram import LINKAGES
from fairseq_gist.policies.registry import POLICIES, check_options, decide
from fairseq_gist.sharing.description import describe_plan
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["EXAMPLE", "add_arguments", "run"]

DEFAULT_BUDGET = "2.0"

_WIDTH = max(len(name) for name in POLICIES)

EXAMPLE = "\n".join(
    [
        "policies:",
        *(f"  {policy.name:{_WIDTH}}  {policy.summary}" for policy in POLICIES.values()),
        "",
        "example:",
        "  fairseq-gist record checkpoints/checkpoint_best.pt DATA -o statistics.npz",
        "  fairseq-gist plan gradient --statistics statistics.npz --size-budget 2.5 -o plan.json",
        "  fairseq-gist plan random --checkpoint checkpoints/checkpoint_best.pt \\",
        "      --languages de,es --size-budget 190.2M --seed 3 -o random.json",
        "  fairseq-gist plan attention --arch s2t_transformer_m --dict-size 10000 \\",
        "      --languages de,es,fr,it,nl,pt,ro,ru --count",
        "  fairseq-gist record checkpoints/checkpoint_best.pt DATA --hidden-units -o hidden.npz",
        "  fairseq-gist plan gdps --statistics hidden.npz --shared 0.5 -o plan.json",
    ]
)


def _readers(option: str) -> str:
    return ", ".join(policy.name for policy in POLICIES.values() if option in policy.options)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("policy", choices=list(POLICIES), metavar="POLICY", help="see below")
    add_source_arguments(parser)
    parser.add_argument(
        "--size-budget",
        dest="budget",
        metavar="SIZE",
        help="in multiples of the shared model (2.5) or parameters (190.6M); default "
        f"{DEFAULT_BUDGET}, but bipartition needs none ({_readers('budget')})",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help=f"of the order; default 1 ({_readers('seed')})"
    )
    parser.add_argument(
        "--linkage",
        choices=LINKAGES,
        help="which similarity of their languages joins two groups: the highest, the mean or the "
        f"lowest; default single ({_readers('linkage')})",
    )
    parser.add_argument(
        "--splits", type=int, metavar="N", help=f"at most; default 2 ({_readers('splits')})"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="DISTANCE",
        help=f"cosine distance that halves must exceed; default 0 ({_readers('threshold')})",
    )
    parser.add_argument(
        "--granularity",
        choices=list(GRANULARITIES),
        help=f"what is split as one; default projection ({_readers('granularity')})",
    )
    parser.add_argument(
        "--groups",
        metavar="{clusters,each,K}",
        help="that own hidden units: the clusters that are found (each language alone where they "
        "differ without groups), each language alone, or K clusters; default clusters "
        f"({_readers('groups')})",
    )
    parser.add_argument(
        "--shared",
        metavar="{steps,continuous,SHARE}",
        help="share of hidden units that stay shared: by how much languages differ, in the paper's "
        "steps (75, 50, 25 %%) or continuous, where they do; or a number between 0 and 1, in all "
        f"blocks; default steps ({_readers('shared')})",
    )
    parser.add_argument(
        "--own",
        choices=MEASURES,
        help="how hidden units in conflict are found: along the directions that tell languages "
        f"apart, or by agreement in all; default directions ({_readers('own')})",
    )
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
        "-o", "--output", metavar="FILE", help="where to write (may be left out with --count)"
    )


def run(args: argparse.Namespace) -> None:
    """Decide, write the plan and print it as a table."""
    if args.output is None and not args.count:
        raise OptionError("-o: name the file to write, or ask for --count alone")
    if args.output is not None:
        check_output(args.output)
    names = sorted({option for policy in POLICIES.values() for option in policy.options})
    given: Dict[str, Any] = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    check_options(args.policy, given, args.statistics is not None)
    policy = POLICIES[args.policy]
    if policy.needs_budget:
        given.setdefault("budget", DEFAULT_BUDGET)
    source = read_source(args)
    plan = decide(
        policy.name,
        source.languages,
        source.unit_parameters,
        source.shared_parameters,
        statistics=source.statistics,
        within=_within(args.within, source),
        units=args.units,
        **given,
    )
    if args.output is not None:
        plan.save(args.output)
    if args.count:
        total, shared = plan.parameters, source.shared_parameters
        print(f"{policy.name} {total:,} ({total / shared:.2f} times shared)")
    else:
        print(describe_plan(plan))


def _within(path: Optional[str], source: UnitSource) -> Optional[SharingPlan]:
    if path is None:
        return source.within
    plan = SharingPlan.load(path)
    if source.within is not None:
        plan.check_refines(source.within)
    return plan
