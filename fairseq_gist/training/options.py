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
from fairseq_gist.recording.options import RecordingOptions, option, recording_problems

__all__ = [
    "DifferentiationOptions",
    "Moment",
    "moments",
    "policy_at",
    "records",
]

_NUMBER = re.compile("[0-9]{1,9}")

MINIMUM_CHUNKS = 4


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
class DifferentiationOptions(_PolicyOptions, RecordingOptions):
    """When a model differentiates, from which gradients, and how large it may become."""

    differentiate_at: Optional[str] = field(
        default=None,
        metadata={
            "help": "update after which the model is split into parameter groups by what its "
            "gradients say; several with commas between, each splitting further than the one "
            "before (default: never)"
        },
    )
    differentiate_by: str = option(
        "gradient",
        "policy that decides: "
        + "; ".join(f"'{name}', {policy.summary}" for name, policy in find_policies().items()),
    )
    gradients_from: str = option(
        "train",
        "where gradients per language come from: 'train' records them in the training steps before "
        "the split; any other name is a subset of held-out data, such as 'multiway', on which they "
        "are measured at the split, dropout off",
    )
    gradient_window: int = option(
        64, "number of updates before the split whose gradients are recorded"
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
    found = recording_problems(options, MINIMUM_CHUNKS)
    if options.gradient_window < options.gradient_chunks:
        found.append(
            f"--gradient-window: {options.gradient_window} updates can't be divided into "
            f"{options.gradient_chunks} chunks (--gradient-chunks)"
        )
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
