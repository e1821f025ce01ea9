"""The policy of Sun & Nakamura (2026): part of a feed-forward block shared, part owned by groups.

For every block whose hidden units were recorded: (B) do the languages' gradients differ, and what
share of the hidden units should all languages keep sharing; (A) which groups do they form; (C) on
which hidden units do the groups conflict. Those are divided off, and each group owns a copy.

The paper specialises one block of which a person has looked up the groups, with as many parameters
in each part as (B) and (C) say, and starts from a factorization of the old weights. Here the
analyses decide alone, on every block, and the old function is kept: a hidden unit moves as a whole.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.capacity import ALLOCATIONS, shared_fraction
from fairseq_gist.gradients.analysis.clustering import cluster_languages
from fairseq_gist.gradients.analysis.divergence import divergence
from fairseq_gist.gradients.analysis.multiple import holm
from fairseq_gist.gradients.neurons import HiddenUnits
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.conflict import check_measure, conflicts
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import Partition, SharingPlan

__all__ = ["GROUPINGS", "LEVEL", "gdps_plan", "own_count", "parse_groups", "parse_shared"]

LEVEL = 0.05
"""p-values up to here say that languages differ, or form groups."""

GROUPINGS = ("clusters", "each")

_PERMUTATIONS = 999


class _Choice(NamedTuple):
    """What is decided on one block; no division where all stay together."""

    groups: Partition
    division: Optional[Division]
    facts: Dict[str, Any]


def gdps_plan(
    statistics: GradientStatistics,
    groups: str = "clusters",
    shared: str = "steps",
    own: str = "directions",
    within: Optional[SharingPlan] = None,
) -> SharingPlan:
    """Return the plan that divides blocks in which the languages' gradients differ.

    Args:
        statistics: of the blocks to decide on, with their hidden units.
        groups: (A) ``clusters``: those that clustering finds, or, where languages differ and no
            groups of them do, each language its own; ``each``: always that; a number: the best so
            many clusters. Languages that clustering can't place join the group with the most data.
        shared: (B) the share of hidden units that stay shared, of the divergence by ``steps`` or
            ``continuous``, in blocks in which languages differ; or a number between 0 and 1, in
            all of them.
        own: (C) how conflict is measured, see :func:`fairseq_gist.policies.conflict.conflicts`.
        within: the plan so far; what it has split or divided stays as it is.

    Raises:
        OptionError: for an option that isn't one of these.
        StatisticsError: when no hidden units were recorded, or one chunk only.
    """
    parse_groups(groups)
    parse_shared(shared)
    check_measure(own)
    blocks = _blocks(statistics, within)
    choices = _choices(statistics, blocks, groups, shared, own) if blocks else {}
    options = {"groups": groups, "shared": shared, "own": own}
    provenance = {
        "policy": "gdps",
        **options,
        "statistics": dict(statistics.provenance),
    }
    return _plan(statistics, blocks, choices, within, provenance)


def _choices(
    statistics: GradientStatistics,
    blocks: Mapping[str, HiddenUnits],
    groups: str,
    shared: str,
    own: str,
) -> Dict[str, _Choice]:
    """Return what is decided on every block; see :func:`gdps_plan` for the options."""
    merged = statistics.merged({first: [first, each.second] for first, each in blocks.items()})
    draws = max(_PERMUTATIONS, 50 * len(blocks))  # or Holm's method could reject nothing
    found = [divergence(merged, first, draws) for first in blocks]
    p_values = holm(np.array([each.p_value for each in found]))
    fraction = parse_shared(shared)
    choices: Dict[str, _Choice] = {}
    for (first, hidden), each, p in zip(blocks.items(), found, p_values.tolist()):
        facts: Dict[str, Any] = {
            "delta": _known(each.delta),
            "interval": [_known(end) for end in each.interval],
            "p_differ": _known(p),
        }
        if fraction is None and not p <= LEVEL:
            choices[first] = _Choice((statistics.languages,), None, {**facts, "why": _alike(p)})
            continue
        chosen, why = _groups(merged, first, groups, facts)
        part = fraction if fraction is not None else shared_fraction(each.delta, shared)
        division, measured = _division(merged, first, hidden, chosen, part, own)
        facts.update(shared=division.shared_fraction, own_by=measured, why=why)
        choices[first] = _Choice(chosen, division, facts)
    return choices


def parse_groups(text: str) -> Optional[int]:
    """Return the number of groups asked for, None where it isn't given.

    Raises:
        OptionError: unless it is one of :data:`GROUPINGS`, or at least 2.
    """
    if text in GROUPINGS:
        return None
    if not text.isdigit() or int(text) < 2:
        raise OptionError(
            f"groups: expected {', '.join(GROUPINGS)} or a number of groups from 2 on, found "
            f"'{text}'"
        )
    return int(text)


def parse_shared(text: str) -> Optional[float]:
    """Return the share asked for, None where it comes from the divergence.

    Raises:
        OptionError: unless it is a name of ALLOCATIONS, or a number between 0 and 1.
    """
    if text in ALLOCATIONS:
        return None
    try:
        fraction = float(text)
    except ValueError:
        fraction = float("nan")
    if not 0.0 < fraction < 1.0:
        raise OptionError(
            f"shared: expected {', '.join(ALLOCATIONS)} or a share between 0 and 1, found '{text}'"
        )
    return fraction


def _blocks(
    statistics: GradientStatistics, within: Optional[SharingPlan]
) -> Dict[str, HiddenUnits]:
    """Return the blocks to decide on: those that aren't split or divided so far."""
    if not statistics.hidden:
        raise StatisticsError(
            "policy 'gdps' decides on single hidden units, which the gradient statistics lack: "
            "record them with --hidden-units, or decide on other units (--units)"
        )
    if min(statistics.chunks_per_language.values()) < 2:
        raise StatisticsError(
            "policy 'gdps' tells a difference from noise by several chunks of data a language, "
            "and one has a single chunk: record more (--chunks)"
        )
    done = set()
    if within is not None:
        done = {u for u, g in within.units.items() if len(g) > 1} | within.divisions.keys()
    return {
        first: own
        for first, own in statistics.hidden.items()
        if first not in done and own.second not in done
    }


def _alike(p: float) -> str:
    if np.isnan(p):
        return "whether languages differ can't be told: a gradient is zero"
    return f"languages aren't known to differ (p = {p:.2g})"


def _known(number: float) -> Optional[float]:
    """Return what JSON has for a number that may be NaN."""
    return None if np.isnan(number) else float(number)


def _groups(
    merged: GradientStatistics, block: str, wanted: str, facts: Dict[str, Any]
) -> Tuple[Partition, str]:
    """Return the groups that own copies, and why these."""
    languages = merged.languages
    each: Partition = tuple((language,) for language in languages)
    if wanted == "each":
        return each, "each language its own was asked for"
    number = parse_groups(wanted)
    if number is not None and number > len(languages):
        raise OptionError(
            f"groups: expected no more than the {len(languages)} languages, found {number}"
        )
    clusters = cluster_languages(merged, block)
    placed = len(clusters.languages)
    found = clusters.partition(LEVEL)
    if number is not None and placed > 1:  # noise can leave fewer languages than groups
        clusters = cluster_languages(merged, block, groups=min(number, placed))
        found = clusters.groups
        why = f"the best {len(found)} groups"
    elif len(found) < 2:
        found = tuple((language,) for language in clusters.languages)
        why = "languages differ, but form no groups"
        why += "" if np.isnan(clusters.p_value) else f" (p = {clusters.p_value:.2g})"
    else:
        why = f"groups found (p = {clusters.p_value:.2g})"
    facts.update(p_groups=_known(clusters.p_value), unplaced=list(clusters.unplaced))
    if len(found) < 2:
        return each, "languages differ, but too few gradients can be told from noise"
    if clusters.unplaced:
        why += f"; noise, and with the most data: {' '.join(clusters.unplaced)}"
    return _with_unplaced(merged, found, clusters.unplaced), why


def _with_unplaced(
    statistics: GradientStatistics, groups: Partition, unplaced: Sequence[str]
) -> Partition:
    """Return the groups with languages of unknown place in that with the most target tokens."""
    tokens = {
        language: float(statistics.probe_tokens[statistics.probe_languages == index].sum())
        for index, language in enumerate(statistics.languages)
    }
    largest = max(groups, key=lambda group: (sum(tokens[one] for one in group), group))
    return tuple(
        sorted(tuple(sorted((*group, *(unplaced if group == largest else ())))) for group in groups)
    )


def _division(
    merged: GradientStatistics,
    first: str,
    hidden: HiddenUnits,
    groups: Partition,
    fraction: float,
    measure: str,
) -> Tuple[Division, str]:
    count = own_count(len(hidden), fraction)
    conflict, measured = conflicts(merged, first, hidden, groups, measure)
    order = np.argsort(-conflict, kind="stable")
    return Division(hidden.second, len(hidden), tuple(sorted(order[:count].tolist()))), measured


def own_count(hidden: int, fraction: float) -> int:
    """Return how many hidden units are divided off so that ``fraction`` stay shared; some do."""
    return min(hidden - 1, max(1, round(hidden * (1.0 - fraction))))


def _plan(
    statistics: GradientStatistics,
    blocks: Mapping[str, HiddenUnits],
    choices: Mapping[str, _Choice],
    within: Optional[SharingPlan],
    provenance: Mapping[str, Any],
) -> SharingPlan:
    languages = statistics.languages
    before = SharingPlan(languages, {}) if within is None else within
    known = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    sizes: Dict[str, int] = {**before.sizes, **known}
    together: Partition = (languages,)
    divisions = dict(before.divisions)
    # statistics may have been recorded before these were divided
    wholes = {path for first, own in divisions.items() for path in (first, own.second)}
    recorded = [unit for unit in known if unit not in wholes]
    units: Dict[str, Partition] = {**dict.fromkeys(recorded, together), **before.units}
    for first, choice in choices.items():
        hidden = blocks[first]
        if choice.division is None:
            continue
        del units[first], units[hidden.second]
        divisions[first] = choice.division
        names = divided_units(first, choice.division)
        sizes.update(zip(names, _part_sizes(known[hidden.second], hidden, choice.division)))
        units.update(dict.fromkeys(names[:2], together))
        units.update(dict.fromkeys(names[2:], choice.groups))
    return SharingPlan(
        languages,
        units,
        provenance,
        divisions,
        sizes={unit: sizes[unit] for unit in units},
        shared_parameters=statistics.shared_parameters,
        blocks={first: choice.facts for first, choice in choices.items()},
    )


def _part_sizes(second: int, hidden: HiddenUnits, division: Division) -> Tuple[int, int, int, int]:
    """Return the parameters of the four parts, in the order of ``divided_units``."""
    shared, own = len(division.shared), len(division.own)
    first_own, second_own = hidden.first_parameters * own, hidden.second_parameters * own
    return hidden.first_parameters * shared, second - second_own, first_own, second_own
