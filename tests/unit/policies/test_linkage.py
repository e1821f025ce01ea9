"""Average and complete linkage: the definition, planted groups, ties, and the budget."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage as scipy_linkage

from fairseq_gist.errors import OptionError
from fairseq_gist.policies.dendrogram import LINKAGES, merges
from fairseq_gist.policies.similarity import trusted_cosines
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import (
    LANGUAGES,
    PLANTED,
    SHARED,
    check_plan,
    gradient_plan,
    grouped,
    limits_of,
    random_vectors,
    statistics_of,
    with_ties,
)

quick = settings(derandomize=True, max_examples=40, deadline=None)

every_linkage = pytest.mark.parametrize("linkage", LINKAGES)


def tree_by_the_definition(distances, group, linkage):
    """Merge the nearest two groups until one is left.

    Returns ``(height, order inside the unit, one, other)`` of each merge. The nearest of equals are
    those of the first languages, or for a linkage that a pair decides, those with the first pair.
    """

    def pair_of(a, b):
        pairs = [(distances[j, k], j, k) for j, k in itertools.product(a, b) if j < k]
        pairs += [(distances[k, j], k, j) for j, k in itertools.product(a, b) if k < j]
        if linkage != "average":
            return min(pairs) if linkage == "single" else max(pairs)
        mean = sum((pair[0] for pair in pairs), Fraction(0)) / len(pairs)
        return (mean, *sorted((min(a), min(b))))

    clusters, found = [{language} for language in group], []
    while len(clusters) > 1:
        (height, one, other), a, b = min(
            (pair_of(a, b), sorted(a), sorted(b)) for a, b in itertools.combinations(clusters, 2)
        )
        inside = len(found) if linkage == "average" else 0
        found.append((round(float(height), 12), inside, one, other))
        clusters = [c for c in clusters if c not in (set(a), set(b))] + [set(a) | set(b)]
    return found


def by_the_definition(statistics, limit, within, linkage):
    languages, count = statistics.languages, len(statistics.languages)
    order = []
    for unit, cosines in zip(statistics.units, trusted_cosines(statistics)):
        exact = {
            (j, k): Fraction(round(-float(cosines[j, k]) * 10**12), 10**12)
            for j, k in itertools.combinations(range(count), 2)
        }
        groups = within.units.get(unit, [languages])
        own = [
            merge
            for group in groups
            for merge in tree_by_the_definition(exact, list(map(languages.index, group)), linkage)
        ]
        order += [(merge[0], unit, step, *merge[2:]) for step, merge in enumerate(sorted(own))]
    sizes = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    size = statistics.shared_parameters + sum(sizes.values()) * (count - 1)
    plan = {unit: [{language} for language in range(count)] for unit in statistics.units}
    for _, unit, _, one, other in sorted(order):
        if size <= limit:
            break
        joined = [group for group in plan[unit] if one in group or other in group]
        plan[unit] = [g for g in plan[unit] if g not in joined] + [set().union(*joined)]
        size -= sizes[unit]
    named = {u: [[languages[i] for i in g] for g in own] for u, own in plan.items()}
    return SharingPlan(languages, named) if size <= limit else None


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.8]),
    st.booleans(),
    st.sampled_from(LINKAGES),
)
def test_plans_are_those_of_the_definition(seed, count, units, chunks, noise, is_later, linkage):
    generator = np.random.default_rng(seed)
    languages = [f"l{index}" for index in range(count)]
    statistics = with_ties(generator, languages, units, chunks, noise)
    within, limit = limits_of(generator, statistics, is_later)
    expected = by_the_definition(statistics, limit, within, linkage)
    check_plan(expected, statistics, limit, within, linkage)


@every_linkage
def test_without_ties_the_heights_are_scipys(linkage):
    distances = np.random.default_rng(3).uniform(0, 2, size=30 * 29 // 2)
    found = merges(distances.tolist(), 30, [range(30)], linkage)
    expected = scipy_linkage(distances, linkage)[:, 2]
    difference = np.abs([merge.height for merge in found] - expected).max()
    assert difference < 1e-11, f"heights differ by {difference}"


@pytest.mark.parametrize(("chunks", "noise"), [(1, 0.0), (2, 0.0), (4, 0.03)])
@every_linkage
def test_planted_groups_are_found(chunks, noise, linkage):
    vectors = {unit: grouped(groups) for unit, groups in PLANTED.items()}
    statistics = statistics_of(vectors, chunks=chunks, noise=noise)
    budget = SHARED + 100 * sum(len(groups) - 1 for groups in PLANTED.values())
    plan = gradient_plan(statistics, str(budget), linkage=linkage)
    assert plan == SharingPlan(LANGUAGES, PLANTED), plan.to_json()
    assert plan.provenance["linkage"] == linkage


def test_linkages_differ_where_groups_are_chains():
    """Along a chain each is near the next; the ends are far apart."""
    angles = dict(zip(LANGUAGES, np.radians([0, 20, 41, 63, 86])))
    vectors = {"u": {one: [np.cos(angle), np.sin(angle)] for one, angle in angles.items()}}
    plans = {
        linkage: gradient_plan(statistics_of(vectors), str(SHARED + 100), linkage=linkage)
        for linkage in LINKAGES
    }
    assert plans["single"].units["u"] == (("de", "es", "fr", "it"), ("nl",))
    assert plans["complete"].units["u"] == (("de", "es"), ("fr", "it", "nl"))
    assert plans["average"].units["u"] == (("de", "es"), ("fr", "it", "nl"))


@every_linkage
def test_a_larger_budget_only_splits_further(linkage):
    statistics = statistics_of(random_vectors(4))
    plans = [
        gradient_plan(statistics, str(SHARED + more), linkage=linkage)
        for more in range(0, 1700, 100)
    ]
    assert plans[0].is_shared
    assert plans[-1] == SharingPlan.language_specific(LANGUAGES, statistics.units)
    assert all(larger.refines(smaller) for smaller, larger in zip(plans, plans[1:]))


@quick
@given(
    st.integers(0, 10**6),
    st.sampled_from(LINKAGES),
    st.lists(st.floats(1e-3, 1e3), min_size=5, max_size=5),
    st.randoms(use_true_random=False),
)
def test_scale_and_the_order_of_units_and_probes_do_not_matter(seed, linkage, factors, random):
    vectors = random_vectors(seed)
    scale = dict(zip(LANGUAGES, factors))
    shuffled = {unit: vectors[unit] for unit in random.sample(sorted(vectors), len(vectors))}
    plan = gradient_plan(statistics_of(vectors), "1.08", linkage=linkage)
    assert gradient_plan(statistics_of(shuffled, scale=scale), "1.08", linkage=linkage) == plan


@quick
@given(st.integers(0, 10**6), st.permutations(LANGUAGES), st.sampled_from(LINKAGES))
def test_renaming_the_languages_renames_the_plan(seed, names, linkage):
    vectors = random_vectors(seed)
    to = dict(zip(LANGUAGES, names))
    renamed = {u: {to[one]: vector for one, vector in own.items()} for u, own in vectors.items()}
    plan = gradient_plan(statistics_of(vectors), "1.08", linkage=linkage)
    expected = SharingPlan(
        LANGUAGES,
        {u: [[to[one] for one in group] for group in groups] for u, groups in plan.units.items()},
    )
    assert gradient_plan(statistics_of(renamed), "1.08", linkage=linkage) == expected


@pytest.mark.parametrize(
    ("linkage", "signature"),
    [
        ("single", "b44ae5c20bde4f0f"),
        ("average", "75e0dd3b79a937f0"),
        ("complete", "ef163e88f0b71772"),
    ],
)
def test_ties_are_the_same_on_every_machine(linkage, signature):
    """Cosines of 0, 1/3, 1/2 and so on, most of them many times; the signature was seen once."""
    languages = [f"l{index}" for index in range(8)]
    vectors = {
        f"unit{u}": {
            one: [(u + 1) * (index + 2) ** (axis + 1) % 11 % 3 - 1 for axis in range(4)]
            for index, one in enumerate(languages)
        }
        for u in range(6)
    }
    plan = gradient_plan(statistics_of(vectors, languages=languages), "1.2", linkage=linkage)
    assert 0 < sum(len(groups) - 1 for groups in plan.units.values()) < 42
    assert plan.signature == signature


def test_an_unknown_linkage_is_refused():
    with pytest.raises(OptionError, match="--linkage: expected one of single, .* found 'ward'"):
        gradient_plan(statistics_of(random_vectors(1)), "1.08", linkage="ward")
