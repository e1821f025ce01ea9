"""The policy of Sun & Nakamura (2026): part of a feed-forward block shared, part owned by groups.

For every block whose neurons were recorded: (B) do the languages' gradients differ, and what
share of the neurons should all languages keep sharing; (A) which groups do they form; (C) on
which neurons do the groups conflict. Those are divided off, and each group owns a copy.

The paper specialises one block of which a person has looked up the groups, with as many parameters
in each part as (B) and (C) say, and starts from a factorization of the old weights. Here the
analyses decide alone, on every block, and the old function is kept: a neuron moves as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.capacity import ALLOCATIONS, shared_fraction
from fairseq_gist.gradients.analysis.clustering import cluster_languages
from fairseq_gist.gradients.analysis.divergence import divergence
from fairseq_gist.gradients.analysis.multiple import holm
from fairseq_gist.gradients.neurons import NeuronGrams
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.base import Policy, option
from fairseq_gist.policies.conflict import MEASURES, conflicts
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import Partition, SharingPlan

__all__ = ["GROUPINGS", "LEVEL", "Gdps", "own_count"]

LEVEL = 0.05
"""p-values up to here say that languages differ, or form groups."""

GROUPINGS = ("clusters", "each")

_PERMUTATIONS = 999
_NUMBER = re.compile("[0-9]{1,9}")


def _number_of(groups: str) -> Optional[int]:
    """Return the number of groups asked for, None where it isn't given.

    Raises:
        OptionError: unless it is one of :data:`GROUPINGS`, or at least 2.
    """
    if groups in GROUPINGS:
        return None
    if not _NUMBER.fullmatch(groups) or int(groups) < 2:
        raise OptionError(
            f"expected {', '.join(GROUPINGS)} or a number of groups from 2 on, found '{groups}'"
        )
    return int(groups)


def _fraction_of(shared: str) -> Optional[float]:
    """Return the share asked for, None where it comes from the divergence.

    Raises:
        OptionError: unless it is a name of ALLOCATIONS, or a number between 0 and 1.
    """
    if shared in ALLOCATIONS:
        return None
    try:
        fraction = float(shared)
    except ValueError:
        fraction = float("nan")
    if not 0.0 < fraction < 1.0:
        raise OptionError(
            f"expected {', '.join(ALLOCATIONS)} or a share between 0 and 1, found '{shared}'"
        )
    return fraction


class _Choice(NamedTuple):
    """What is decided on one block; no division where all stay together."""

    groups: Partition
    division: Optional[Division]
    facts: Dict[str, Any]


class Gdps(Policy):
    """Divide the feed-forward blocks in which the languages' gradients differ.

    What the plan so far has split or divided stays as it is. Languages that clustering can't place
    join the group with the most data.
    """

    name = "gdps"
    summary = "share some neurons of feed-forward blocks, split those in conflict among groups"
    needs_statistics = True
    needs_neurons = True

    @dataclass(frozen=True)
    class Options:
        """One for each of the three questions (A), (B) and (C)."""

        gdps_groups: str = option(
            "clusters",
            "which groups of languages get neurons of their own: the 'clusters' that are found in "
            "the gradients (each language alone where languages differ without groups), 'each' "
            "language alone, or a number of clusters",
            metavar="{clusters,each,K}",
            check=_number_of,
        )
        gdps_shared: str = option(
            "steps",
            "how many of a feed-forward block's neurons all languages go on sharing: by 'steps', "
            "three quarters, half or a quarter, fewer where the languages' gradients differ more, "
            "and all where no difference is known; 'continuous', the same without steps; or a "
            "share between 0 and 1 in every block",
            metavar="{steps,continuous,SHARE}",
            check=_fraction_of,
        )
        gdps_own: str = option(
            "directions",
            "how the neurons that aren't shared are chosen, those on which the groups' gradients "
            "conflict most: along the 'directions' that tell languages apart, or by their "
            "'agreement' in all directions",
            choices=MEASURES,
        )

    def check(self, situation: Situation) -> None:
        """Find more groups than languages, and units without a block that can be divided."""
        self._check_groups(situation.languages)
        names = situation.shape.select(situation.pattern, neurons=True)
        blocks = situation.shape.blocks
        if not any(name in blocks and blocks[name].second in names for name in names):
            raise OptionError(
                f"none of the {len(names)} units, '{names[0]}' first, are the two projections of a "
                "feed-forward block that isn't split yet; choose others",
                "units",
            )

    def decide(self, situation: Situation) -> SharingPlan:
        """Return the plan that divides blocks in which the languages' gradients differ.

        Raises:
            OptionError: for more groups than languages.
            StatisticsError: when no neurons were recorded, or one chunk only.
        """
        statistics = situation.recorded()
        self._check_groups(statistics.languages)
        blocks = _blocks(statistics, situation.so_far)
        choices = self._choices(statistics, blocks) if blocks else {}
        units = _undivided(statistics, situation.so_far)
        divisions: Dict[str, Division] = {}
        for first, choice in choices.items():
            if choice.division is None:
                continue
            divisions[first] = choice.division
            del units[first], units[choice.division.second]
            names = divided_units(first, choice.division)
            units.update(dict.fromkeys(names[:2], (statistics.languages,)))
            units.update(dict.fromkeys(names[2:], choice.groups))
        facts = {first: choice.facts for first, choice in choices.items()}
        return self.plan(situation, units, None, divisions, facts)

    def _check_groups(self, languages: Sequence[str]) -> None:
        number = _number_of(self.options.gdps_groups)
        if number is not None and number > len(languages):
            raise OptionError(
                f"expected no more groups than the {len(languages)} languages, found {number}",
                "gdps_groups",
            )

    def _choices(
        self, statistics: GradientStatistics, blocks: Mapping[str, NeuronGrams]
    ) -> Dict[str, _Choice]:
        """Return what is decided on every block."""
        merged = statistics.merged({first: [first, each.second] for first, each in blocks.items()})
        draws = max(_PERMUTATIONS, 50 * len(blocks))  # or Holm's method could reject nothing
        found = [divergence(merged, first, draws) for first in blocks]
        p_values = holm(np.array([each.p_value for each in found]))
        shared = self.options.gdps_shared
        fraction = _fraction_of(shared)
        choices: Dict[str, _Choice] = {}
        for (first, neurons), each, p in zip(blocks.items(), found, p_values.tolist()):
            facts: Dict[str, Any] = {
                "delta": _known(each.delta),
                "interval": [_known(end) for end in each.interval],
                "p_differ": _known(p),
            }
            if fraction is None and not p <= LEVEL:
                choices[first] = _Choice((statistics.languages,), None, {**facts, "why": _alike(p)})
                continue
            groups, why = _groups(merged, first, self.options.gdps_groups, facts)
            part = fraction if fraction is not None else shared_fraction(each.delta, shared)
            measure = self.options.gdps_own
            division, measured = _division(merged, first, neurons, groups, part, measure)
            facts.update(shared=division.shared_fraction, own_by=measured, why=why)
            choices[first] = _Choice(groups, division, facts)
        return choices


def _undivided(statistics: GradientStatistics, so_far: SharingPlan) -> Dict[str, Partition]:
    """Return the units that were recorded, as they are so far.

    Statistics may have been recorded before blocks were divided, whose wholes are no units now.
    """
    wholes = {path for first, own in so_far.divisions.items() for path in (first, own.second)}
    return {
        unit: so_far.units.get(unit, (statistics.languages,))
        for unit in statistics.units
        if unit not in wholes
    }


def _blocks(statistics: GradientStatistics, so_far: SharingPlan) -> Dict[str, NeuronGrams]:
    """Return the blocks to decide on: those that aren't split or divided so far."""
    if not statistics.neurons:
        raise StatisticsError(
            "policy 'gdps' decides on single neurons, which the gradient statistics lack: record "
            "them ('fairseq-gist record' has an option), or decide on other units"
        )
    if min(statistics.chunks_per_language.values()) < 2:
        raise StatisticsError(
            "policy 'gdps' tells a difference from noise by several chunks of data a language, "
            "and one has a single chunk: record more"
        )
    done = {unit for unit, groups in so_far.units.items() if len(groups) > 1}
    done |= so_far.divisions.keys()
    return {
        first: own
        for first, own in statistics.neurons.items()
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
    number = _number_of(wanted)
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
    neurons: NeuronGrams,
    groups: Partition,
    fraction: float,
    measure: str,
) -> Tuple[Division, str]:
    count = own_count(len(neurons), fraction)
    conflict, measured = conflicts(merged, first, neurons, groups, measure)
    order = np.argsort(-conflict, kind="stable")
    return Division(neurons.second, len(neurons), tuple(sorted(order[:count].tolist()))), measured


def own_count(neurons: int, fraction: float) -> int:
    """Return how many neurons are divided off so that ``fraction`` stay shared; some do."""
    return min(neurons - 1, max(1, round(neurons * (1.0 - fraction))))
