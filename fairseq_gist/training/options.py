"""The options of differentiation: one documented dataclass, from which help and docs come."""

# OmegaConf needs real types here, not their names: no postponed evaluation of annotations.
import re
from dataclasses import dataclass, field, make_dataclass
from typing import Any, Dict, List, Optional

from fairseq_gist.errors import OptionError
from fairseq_gist.policies import (
    PolicyOption,
    find_policies,
    policy_named,
    policy_options,
    policy_with,
)
from fairseq_gist.policies.base import Policy, problems

__all__ = [
    "DEVICES",
    "DifferentiationOptions",
    "Moment",
    "moments",
    "policy_at",
    "records",
    "storage_problems",
]

_NUMBER = re.compile("[0-9]{1,9}")

DEVICES = ("cpu", "model")
MINIMUM_CHUNKS = 4
MINIMUM_SKETCH = 64
"""Below it a cosine would err by more than an eighth."""


def _help_of(option: PolicyOption) -> str:
    if option.name != "size_budget":
        return option.help
    return f"{option.help}; several with commas between, one for each --differentiate-at"


_PolicyOptions: Any = make_dataclass(
    "_PolicyOptions",
    [
        (
            option.name,
            option.kind if option.default is not None else Optional[option.kind],
            field(default=option.default, metadata={"help": _help_of(option)}),
        )
        for option in policy_options().values()
    ],
)
"""The options of every policy, as each says of its own."""


@dataclass
class DifferentiationOptions(_PolicyOptions):
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
            "help": f"policy that decides: {', '.join(find_policies())}; 'shared' only records "
            "gradients and splits nothing"
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
    """One differentiation: after ``update`` updates, up to ``budget`` where one is given."""

    update: int
    budget: Optional[str] = None


def moments(options: DifferentiationOptions) -> List[Moment]:
    """Return the differentiations asked for, in order.

    Raises:
        OptionError: naming every option that is out of range.
    """
    found = []
    if options.gradient_chunks < MINIMUM_CHUNKS:
        found.append(
            f"--gradient-chunks: at least {MINIMUM_CHUNKS} are needed to tell a gradient from "
            f"noise, found {options.gradient_chunks}"
        )
    if options.gradient_window < options.gradient_chunks:
        found.append(
            f"--gradient-window: {options.gradient_window} updates can't be divided into "
            f"{options.gradient_chunks} chunks (--gradient-chunks)"
        )
    found.extend(storage_problems(options.sketch_dim, options.statistics_device))
    found.extend(_policy_problems(options))
    updates = _updates(options.differentiate_at, found)
    if not found and records(options):
        found.extend(_room_problems(options, updates))
    if len(updates) > 1 and not found and not policy_named(options.differentiate_by).goes_on:
        found.append(
            f"--differentiate-at: '{options.differentiate_by}' splits all at once; expected one "
            f"update, found {len(updates)}"
        )
    budgets = _budgets(options)
    if updates and len(budgets) not in (1, len(updates)):
        found.append(
            f"--size-budget: expected one for all or {len(updates)}, one for each "
            f"--differentiate-at, found {len(budgets)}"
        )
    if found:
        raise OptionError("; ".join(found))
    if len(budgets) == 1:
        budgets = budgets * len(updates)
    return [Moment(update, budget) for update, budget in zip(updates, budgets)]


def records(options: DifferentiationOptions) -> bool:
    """Return whether gradients are recorded: for a policy that reads them, or to be looked at."""
    policy = policy_named(options.differentiate_by)
    return policy.needs_statistics or not policy.splits


def policy_at(options: DifferentiationOptions, moment: Moment) -> Policy:
    """Return the policy that decides at ``moment``, with its options.

    Raises:
        OptionError: when one of them can't be.
    """
    name = options.differentiate_by
    return policy_with(name, _given(options, name, moment.budget))


def _given(options: DifferentiationOptions, policy: str, budget: Optional[str]) -> Dict[str, Any]:
    """Return the options that ``policy`` reads and that have a value."""
    given = {
        name: getattr(options, name)
        for name, option in policy_options().items()
        if policy in option.defaults
    }
    if "size_budget" in given:
        given["size_budget"] = budget
    kinds = policy_options()
    return {name: kinds[name].kind(value) for name, value in given.items() if value is not None}


def _budgets(options: DifferentiationOptions) -> List[Optional[str]]:
    if options.size_budget is None:
        return [None]
    return [word.strip() for word in str(options.size_budget).split(",")]


def _policy_problems(options: DifferentiationOptions) -> List[str]:
    """Find what is wrong with the options of any policy, chosen or not."""
    known = find_policies()
    found = {
        str(problem): None
        for name, policy in known.items()
        for budget in _budgets(options)
        for problem in problems(policy.Options(**_given(options, name, budget)))
    }
    chosen = known.get(options.differentiate_by)
    if chosen is None:
        by, names = options.differentiate_by, ", ".join(known)
        found[f"--differentiate-by: expected one of {names}, found '{by}'"] = None
    elif chosen.needs_neurons and options.sketch_dim:
        found[
            f"--sketch-dim: '{chosen.name}' reads the gradients of single neurons, which are in "
            "whole gradients only; leave it out"
        ] = None
    return list(found)


def storage_problems(sketch_dim: int, statistics_device: str) -> List[str]:
    """Return what is wrong with how recorded gradients are to be kept, a line each."""
    found = []
    if sketch_dim != 0 and sketch_dim < MINIMUM_SKETCH:
        found.append(
            f"--sketch-dim: at least {MINIMUM_SKETCH} are needed to tell cosines apart, or 0 to "
            f"keep gradients whole, found {sketch_dim}"
        )
    if statistics_device not in DEVICES:
        found.append(
            f"--statistics-device: expected one of {', '.join(DEVICES)}, found "
            f"'{statistics_device}'"
        )
    return found


def _updates(text: Optional[str], found: List[str]) -> List[int]:
    if text is None:
        return []
    words = str(text).split(",")
    if not all(_NUMBER.fullmatch(word.strip()) for word in words):
        found.append(f"--differentiate-at: expected numbers of updates, found '{text}'")
        return []
    updates = [int(word) for word in words]
    if 0 in updates:
        found.append(
            "--differentiate-at: 0 is before any gradient; use --sharing-plan to start "
            "differentiated"
        )
    if updates != sorted(set(updates)):
        found.append(f"--differentiate-at: updates must rise, found '{text}'")
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
