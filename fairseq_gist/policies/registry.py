"""All policies by name: what they do, what they need, and one function to decide by any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Tuple

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.bipartition import bipartition_plan
from fairseq_gist.policies.gdps import gdps_plan
from fairseq_gist.policies.gdps_random import gdps_random_plan
from fairseq_gist.policies.gradient import gradient_plan
from fairseq_gist.policies.heuristic import heuristic_plan
from fairseq_gist.policies.random_order import random_plan
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.unit_names import (
    DEFAULT_UNITS,
    chosen_units,
    matching,
)

__all__ = ["POLICIES", "Policy", "check_options", "decide"]


@dataclass(frozen=True)
class Policy:
    """What a user has to know of a policy.

    Attributes:
        name: on the command line.
        summary: what it shares, in half a line.
        needs_statistics: whether it decides from gradients.
        needs_budget: whether it has to be told a size.
        options: those of :func:`decide` that it reads, beside ``within`` and ``units``.
        needs_hidden_units: whether its statistics must have single hidden units.
    """

    name: str
    summary: str
    needs_statistics: bool = False
    needs_budget: bool = False
    options: Tuple[str, ...] = ()
    needs_hidden_units: bool = False


POLICIES: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            "gradient",
            "share where gradients agree most, within the budget",
            needs_statistics=True,
            needs_budget=True,
            options=("budget", "linkage"),
        ),
        Policy(
            "bipartition",
            "split in two the groups whose halves' gradients are the farthest apart",
            needs_statistics=True,
            options=("budget", "splits", "threshold", "granularity"),
        ),
        Policy(
            "gdps",
            "share some hidden units of feed-forward blocks, split those in conflict among groups",
            needs_statistics=True,
            options=("groups", "shared", "own"),
            needs_hidden_units=True,
        ),
        Policy(
            "gdps-random",
            "as gdps, but which languages and hidden units is left to chance: its control",
            needs_statistics=True,
            options=("groups", "shared", "own", "seed"),
            needs_hidden_units=True,
        ),
        Policy(
            "random",
            "share what a random order says, within the budget",
            needs_budget=True,
            options=("budget", "seed"),
        ),
        Policy("shared", "share everything"),
        Policy("encoder-only", "share the encoder; split all of the decoder, embeddings too"),
        Policy("self-attention", "share encoder, embeddings and the decoder's self-attention"),
        Policy("cross-attention", "share encoder, embeddings and the attention to the encoder"),
        Policy("key-value", "share encoder, embeddings, keys and values of both attentions"),
        Policy("query-key", "share encoder, embeddings, queries and keys of both attentions"),
        Policy("query-key-value", "share encoder, embeddings, queries, keys and values of both"),
        Policy("attention", "share encoder, embeddings and both attentions"),
        Policy("feed-forward", "share encoder, embeddings and the decoder's feed-forward blocks"),
        Policy("language-specific", "share encoder and embeddings, split all of the layers"),
    )
}
"""Every policy by its name."""

_FLAGS = {"budget": "--size-budget"}


def check_options(name: str, given: Mapping[str, Any], has_statistics: bool) -> None:
    """Raise OptionError unless ``name`` is a policy that reads and has what it is given.

    Args:
        name: of the policy.
        given: options of :func:`decide` that a user has set.
        has_statistics: whether there are gradient statistics.
    """
    if name not in POLICIES:
        raise OptionError(f"expected one of the policies {', '.join(POLICIES)}, found '{name}'")
    for option in given:
        if option not in POLICIES[name].options:
            readers = [policy.name for policy in POLICIES.values() if option in policy.options]
            raise OptionError(
                f"{_FLAGS.get(option, f'--{option}')} is for {', '.join(readers)}; policy "
                f"'{name}' doesn't read it"
            )
    if POLICIES[name].needs_statistics and not has_statistics:
        raise OptionError(
            f"policy '{name}' decides from gradients: record them ('fairseq-gist record') and name "
            "the file, with --statistics"
        )


def decide(
    name: str,
    languages: Sequence[str],
    unit_parameters: Mapping[str, int],
    shared_parameters: int,
    statistics: Optional[GradientStatistics] = None,
    within: Optional[SharingPlan] = None,
    budget: Optional[str] = None,
    seed: int = 1,
    linkage: str = "single",
    splits: int = 2,
    threshold: float = 0.0,
    granularity: str = "projection",
    groups: str = "clusters",
    shared: str = "steps",
    own: str = "directions",
    units: Optional[str] = None,
) -> SharingPlan:
    """Return the plan of the policy ``name``; options that it doesn't read are left alone.

    The plan names all the units that a model demands of one (projections and norms of the decoder)
    as far as ``unit_parameters`` has them: those that aren't decided on stay as they are.

    Args:
        name: one of :data:`POLICIES`.
        languages: of the model.
        unit_parameters: parameters of one copy of every unit of the model, in its order.
        shared_parameters: parameters of the whole, fully shared model.
        statistics: of the gradients, for the policies that need them.
        within: the plan so far. Most policies go on from it; a heuristic is what it is on the
            units that it decides on, and must split only further.
        budget: size of the whole model, see :func:`fairseq_gist.sharing.budget.parse_budget`.
        seed: of ``random`` and ``gdps-random``.
        linkage: of ``gradient``, see :func:`~fairseq_gist.policies.gradient.gradient_plan`.
        splits: of ``bipartition``, as the two that follow; see
            :func:`~fairseq_gist.policies.bipartition.bipartition_plan`.
        threshold: see ``splits``.
        granularity: see ``splits``.
        groups: of ``gdps``, as the two that follow; see
            :func:`~fairseq_gist.policies.gdps.gdps_plan`.
        shared: see ``groups``.
        own: see ``groups``.
        units: regular expression for the units to decide on; default are all the statistics have,
            or those of the decoder.

    Raises:
        OptionError: for an unknown policy, or an option that is missing or can't work.
        PlanError: when ``within`` is for other languages, a heuristic would join what it separates,
            or it has modules in pieces that ``bipartition`` is to split as one.
        StatisticsError: when the statistics are for other languages or units, or lack hidden units.
    """
    check_options(name, {}, statistics is not None)
    policy = POLICIES[name]
    if policy.needs_budget and budget is None:
        raise OptionError(f"--size-budget: policy '{name}' needs the size that the model may have")
    if statistics is not None and policy.needs_statistics:
        recorded = _selected(statistics, languages, units)
        so_far = _completed(within, languages, unit_parameters, recorded.units)
        if name == "gradient":
            plan = gradient_plan(recorded, str(budget), so_far, linkage)
        elif name == "bipartition":
            plan = bipartition_plan(recorded, so_far, splits, threshold, granularity, budget)
        else:
            plan = gdps_plan(recorded, groups, shared, own, so_far)
            return gdps_random_plan(plan, seed) if name == "gdps-random" else plan
    elif name == "random":
        chosen = chosen_units(units or DEFAULT_UNITS, unit_parameters)
        so_far = _completed(within, languages, unit_parameters, chosen)
        sizes = {unit: unit_parameters[unit] for unit in chosen}
        plan = random_plan(languages, sizes, shared_parameters, str(budget), seed, so_far)
    else:
        only = None if units is None else chosen_units(units, unit_parameters)
        so_far = _completed(within, languages, unit_parameters, tuple(unit_parameters))
        plan = heuristic_plan(name, languages, unit_parameters, shared_parameters, only, so_far)
    return plan if within is None else plan.replaced(divisions=within.divisions)


def _selected(
    statistics: GradientStatistics, languages: Sequence[str], pattern: Optional[str]
) -> GradientStatistics:
    """Return the statistics of the units to decide on."""
    if list(statistics.languages) != sorted(languages):
        raise StatisticsError(
            f"the gradient statistics are for languages {', '.join(statistics.languages)}, the "
            f"model for {', '.join(sorted(languages))}"
        )
    if pattern is None:
        return statistics
    chosen = matching(pattern, statistics.units)
    if not chosen:
        raise StatisticsError(
            f"the gradient statistics are for other units: --units '{pattern}' matches none of the "
            f"{len(statistics.units)} from '{statistics.units[0]}' to '{statistics.units[-1]}'"
        )
    return statistics.select(chosen)


def _completed(
    within: Optional[SharingPlan],
    languages: Sequence[str],
    unit_parameters: Mapping[str, int],
    decided: Sequence[str],
) -> Optional[SharingPlan]:
    """Return the plan so far with all units that a model demands and sizes, where known."""
    before = SharingPlan(languages, {}) if within is None else within
    named = {*decided, *before.units}
    silent = [u for u in matching(DEFAULT_UNITS, unit_parameters) if u not in named]
    if within is None and not silent:
        return None
    units = {**dict.fromkeys(silent, (before.languages,)), **before.units}
    return before.replaced(units=units, sizes={**before.sizes, **unit_parameters})
