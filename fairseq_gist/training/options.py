"""The options of differentiation: one documented dataclass, from which help and docs come."""

# OmegaConf needs real types here, not their names: no postponed evaluation of annotations.
from dataclasses import dataclass, field
from typing import List, Optional

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.bipartition import GRANULARITIES
from fairseq_gist.policies.conflict import MEASURES
from fairseq_gist.policies.dendrogram import LINKAGES
from fairseq_gist.policies.gdps import parse_groups, parse_shared
from fairseq_gist.policies.registry import POLICIES
from fairseq_gist.sharing.budget import check_budget

__all__ = [
    "DEVICES",
    "DifferentiationOptions",
    "Moment",
    "moments",
    "records",
    "storage_problems",
]

DEVICES = ("cpu", "model")
MINIMUM_CHUNKS = 4
MINIMUM_SKETCH = 64
"""Below it a cosine would err by more than an eighth."""


@dataclass
class DifferentiationOptions:
    """When a model differentiates, from which gradients, and how large it may become."""

    differentiate_at: Optional[str] = field(
        default=None,
        metadata={
            "help": "update after which the model is split into parameter groups by what its "
            "gradients say; several with commas between, each splitting further than the one before"
        },
    )
    differentiate_by: str = field(
        default="gradient",
        metadata={
            "help": f"policy that decides: {', '.join(POLICIES)}; 'shared' only records gradients "
            "and splits nothing"
        },
    )
    size_budget: str = field(
        default="2.0",
        metadata={
            "help": "size of the model after the split, in multiples of the shared model (2.5) or "
            "in parameters (190.6M); several with commas between, one for each --differentiate-at"
        },
    )
    gradients_from: str = field(
        default="train",
        metadata={
            "help": "where gradients per language come from: 'train' records them in the training "
            "steps before the split; any other name is a subset of held-out data, such as "
            "'multiway', on which they are measured at the split, dropout off"
        },
    )
    gradient_window: int = field(
        default=64,
        metadata={"help": "number of updates before the split whose gradients are recorded"},
    )
    gradient_chunks: int = field(
        default=8,
        metadata={
            "help": "number of chunks the recorded data is divided into; differences between the "
            "chunks of a language tell its gradient from noise (at least 4)"
        },
    )
    sketch_dim: int = field(
        default=0,
        metadata={
            "help": "keep this many numbers of every unit's gradient, a random projection, instead "
            "of all: memory no longer depends on the model's size, and a cosine errs by about one "
            "over the root of it, such as 0.016 for 4096 (default: 0, keep gradients whole)"
        },
    )
    statistics_device: str = field(
        default="cpu",
        metadata={
            "help": "where recorded gradients are kept: 'cpu', in main memory, or 'model', on the "
            "device of the model, which saves the way there in every update"
        },
    )
    linkage: str = field(
        default="single",
        metadata={
            "help": "how similar two groups of languages are, for --differentiate-by gradient: as "
            "their most similar pair ('single'), their least similar ('complete') or all pairs on "
            "average ('average')"
        },
    )
    plan_seed: int = field(
        default=1,
        metadata={"help": "seed of what --differentiate-by random and gdps-random leave to chance"},
    )
    bipartition_splits: int = field(
        default=2,
        metadata={
            "help": "groups that --differentiate-by bipartition splits in two at each "
            "--differentiate-at, as far as --size-budget allows"
        },
    )
    bipartition_threshold: float = field(
        default=0.0,
        metadata={
            "help": "distance, 1 minus the cosine, that the halves of a group must exceed to be "
            "split by --differentiate-by bipartition"
        },
    )
    bipartition_granularity: str = field(
        default="projection",
        metadata={
            "help": "what --differentiate-by bipartition splits at a time: each 'projection', all "
            "those of a 'module' (one attention, one feed-forward block), or of a 'layer'"
        },
    )
    gdps_groups: str = field(
        default="clusters",
        metadata={
            "help": "which groups of languages own hidden units by --differentiate-by gdps: the "
            "'clusters' that are found (each language alone where languages differ without "
            "groups), 'each' language alone, or a number of clusters"
        },
    )
    gdps_shared: str = field(
        default="steps",
        metadata={
            "help": "share of the hidden units that stay shared by --differentiate-by gdps: of "
            "blocks in which languages differ, by how much they do, in the paper's 'steps' "
            "(75, 50 or 25 %) or 'continuous'; or a number between 0 and 1, of all blocks"
        },
    )
    gdps_own: str = field(
        default="directions",
        metadata={
            "help": "how --differentiate-by gdps finds the hidden units on which groups conflict: "
            "along the 'directions' that tell languages apart, or by their 'agreement' in all"
        },
    )
    units: Optional[str] = field(
        default=None,
        metadata={
            "help": "regular expression for the module paths that may be split (default: all "
            "projections and norms of the decoder and its final norm; for gdps the feed-forward "
            "blocks of the encoder, of a Conformer's two the second)"
        },
    )
    sharing_plan: Optional[str] = field(
        default=None,
        metadata={"help": "sharing plan (JSON) that the model follows from the start"},
    )
    save_gradient_statistics: Optional[str] = field(
        default=None,
        metadata={
            "help": "write the recorded statistics to this .npz file; with several "
            "--differentiate-at, the update comes before the extension"
        },
    )


@dataclass(frozen=True)
class Moment:
    """One differentiation: after ``update`` updates, up to ``budget``."""

    update: int
    budget: str


def moments(options: DifferentiationOptions) -> List[Moment]:
    """Return the differentiations asked for, in order.

    Raises:
        OptionError: naming every option that is out of range.
    """
    problems = _policy_problems(options)
    if options.gradient_chunks < MINIMUM_CHUNKS:
        problems.append(
            f"--gradient-chunks: at least {MINIMUM_CHUNKS} are needed to tell a gradient from "
            f"noise, found {options.gradient_chunks}"
        )
    if options.gradient_window < options.gradient_chunks:
        problems.append(
            f"--gradient-window: {options.gradient_window} updates can't be divided into "
            f"{options.gradient_chunks} chunks (--gradient-chunks)"
        )
    problems.extend(storage_problems(options.sketch_dim, options.statistics_device))
    problems.extend(_budget_problems(options.size_budget))
    updates = _updates(options.differentiate_at, problems)
    if not problems and records(options):
        problems.extend(_room_problems(options, updates))
    if len(updates) > 1 and not problems and not _goes_on(options.differentiate_by):
        problems.append(
            f"--differentiate-at: '{options.differentiate_by}' splits all at once; expected one "
            f"update, found {len(updates)}"
        )
    budgets = options.size_budget.split(",")
    if updates and len(budgets) not in (1, len(updates)):
        problems.append(
            f"--size-budget: expected one for all or {len(updates)}, one for each "
            f"--differentiate-at, found {len(budgets)}"
        )
    if problems:
        raise OptionError("; ".join(problems))
    if len(budgets) == 1:
        budgets = budgets * len(updates)
    return [Moment(update, budget.strip()) for update, budget in zip(updates, budgets)]


def records(options: DifferentiationOptions) -> bool:
    """Return whether gradients are recorded: for a policy that reads them, or to be looked at."""
    policy = POLICIES[options.differentiate_by]
    return policy.needs_statistics or policy.name == "shared"


def _goes_on(policy: str) -> bool:
    """Return whether a policy can split a model further that it has split before."""
    return policy == "shared" or "budget" in POLICIES[policy].options


def _policy_problems(options: DifferentiationOptions) -> List[str]:
    problems = [
        f"--{name}: expected one of {', '.join(known)}, found '{found}'"
        for name, found, known in (
            ("differentiate-by", options.differentiate_by, POLICIES),
            ("linkage", options.linkage, LINKAGES),
            ("bipartition-granularity", options.bipartition_granularity, GRANULARITIES),
            ("gdps-own", options.gdps_own, MEASURES),
        )
        if found not in known
    ]
    for check, found in ((parse_groups, options.gdps_groups), (parse_shared, options.gdps_shared)):
        try:
            check(str(found))
        except OptionError as error:
            problems.append(f"--gdps-{error}")
    policy = POLICIES.get(options.differentiate_by)
    if policy is not None and policy.needs_hidden_units and options.sketch_dim:
        problems.append(
            f"--sketch-dim: '{policy.name}' reads the gradients of single hidden units, which are "
            "in whole gradients only; leave it out"
        )
    if options.bipartition_splits < 1:
        problems.append(
            f"--bipartition-splits: expected 1 or more, found {options.bipartition_splits}"
        )
    if not 0 <= options.bipartition_threshold <= 2:
        problems.append(
            "--bipartition-threshold: expected a distance from 0 (the same direction) to 2 "
            f"(opposite), found {options.bipartition_threshold}"
        )
    return problems


def storage_problems(sketch_dim: int, statistics_device: str) -> List[str]:
    """Return what is wrong with how recorded gradients are to be kept, a line each."""
    problems = []
    if sketch_dim != 0 and sketch_dim < MINIMUM_SKETCH:
        problems.append(
            f"--sketch-dim: at least {MINIMUM_SKETCH} are needed to tell cosines apart, or 0 to "
            f"keep gradients whole, found {sketch_dim}"
        )
    if statistics_device not in DEVICES:
        problems.append(
            f"--statistics-device: expected one of {', '.join(DEVICES)}, found "
            f"'{statistics_device}'"
        )
    return problems


def _updates(text: Optional[str], problems: List[str]) -> List[int]:
    if text is None:
        return []
    words = str(text).split(",")
    if not all(word.strip().isdigit() for word in words):
        problems.append(f"--differentiate-at: expected numbers of updates, found '{text}'")
        return []
    updates = [int(word) for word in words]
    if 0 in updates:
        problems.append(
            "--differentiate-at: 0 is before any gradient; use --sharing-plan to start "
            "differentiated"
        )
    if updates != sorted(set(updates)):
        problems.append(f"--differentiate-at: updates must rise, found '{text}'")
        return []
    return updates


def _room_problems(options: DifferentiationOptions, updates: List[int]) -> List[str]:
    """Find moments too close to the one before for recording in between."""
    if options.gradients_from != "train":
        return []
    return [
        f"--differentiate-at: {later - earlier} updates between {earlier} and {later} don't make "
        f"{options.gradient_chunks} chunks (--gradient-chunks)"
        for earlier, later in zip([0, *updates], updates)
        if 0 < later - earlier < options.gradient_chunks
    ]


def _budget_problems(text: str) -> List[str]:
    """Find what can be found without the model: multiples below 1 and words that are no number."""
    problems = []
    for word in text.split(","):
        try:
            check_budget(word)
        except OptionError as error:
            problems.append(str(error))
    return problems
