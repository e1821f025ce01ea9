"""Clustering of the languages on a unit: the tree, the silhouettes, and what noise would do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.clustering import cluster_languages
from fairseq_gist.gradients.analysis.levels import largest_explained
from fairseq_gist.gradients.analysis.silhouette import silhouette
from fairseq_gist.gradients.analysis.tree import TREE_LINKAGES, Tree
from tests.unit.planted import UNIT, conflict, groups_of, of_probes, planted, renamed

FOUR = ("aeb", "bem", "est", "gle")
NOTHING = {language: [0.0] for language in FOUR}
ALIKE = groups_of([FOUR])
APART = groups_of([[language] for language in FOUR], common=0.0)
TWO = [("aeb", "est"), ("bem", "gle")]
ODD = [("aeb", "est", "gle"), ("bem",)]
UNEQUAL_NOISE = dict(zip(FOUR, (0.5, 1.0, 2.0, 4.0)))

HAND = np.array([[0.0, 2, 6, 10], [2, 0, 5, 9], [6, 5, 0, 3], [10, 9, 3, 0]])
"""Distances of four languages, in tenths."""


# -- worked out by hand


def test_average_linkage_worked_out_by_hand():
    """0 and 1 merge at 2, then 2 and 3 at 3, the pairs at (6 + 10 + 5 + 9) / 4 = 7.5."""
    tree = Tree.of(HAND, "average")
    np.testing.assert_allclose(tree.merges[:, 2], [2, 3, 7.5])
    assert tree.levels[3] == ((0, 1), (2,), (3,))
    assert tree.levels[2] == ((0, 1), (2, 3))


def test_ward_worked_out_by_hand():
    """Of three points at 1 (0-1), 3 (0-2) and 3 (1-2) the last merge squares to (2·9 + 2·9 - 1)/3.

    That is Ward's update, ((n_i + n_k) d_ik² + (n_j + n_k) d_jk² - n_k d_ij²) / (n_i + n_j + n_k).
    """
    matrix = np.array([[0.0, 1, 3], [1, 0, 3], [3, 3, 0]])
    np.testing.assert_allclose(Tree.of(matrix, "ward").merges[:, 2], [1, (35 / 3) ** 0.5])


def test_a_silhouette_worked_out_by_hand():
    """Inside the pairs 2 and 3; to the other pair 8, 7, 5.5, 9.5: widths ¾, 5/7, 5/11, 13/19."""
    expected = (6 / 8 + 5 / 7 + 2.5 / 5.5 + 6.5 / 9.5) / 4
    assert silhouette(HAND, [(0, 1), (2, 3)]) == pytest.approx(expected)
    # with 2 and 3 alone: 0 has 2 inside and 6 to the nearest, 1 has 5; one alone has width 0
    assert silhouette(HAND, [(0, 1), (2,), (3,)]) == pytest.approx((4 / 6 + 3 / 5) / 4)


def test_what_groups_explain_worked_out_by_hand():
    """Two pairs inside, 2.5 apart, four between, 7.5 apart: 5² · 2 · 4 / 6."""
    expected = 25 * 8 / 6
    assert largest_explained(HAND[None], "average", [2]) == pytest.approx(expected)
    # 0 and 1 alone together: 2 inside, (30 + 3) / 5 = 6.6 between: 4.6² · 1 · 5 / 6
    assert largest_explained(HAND[None], "average", [3]) == pytest.approx(4.6**2 * 5 / 6)
    assert largest_explained(HAND[None], "average", [2, 3]) == pytest.approx(expected)


def test_a_unit_worked_out_by_hand():
    """Without noise: cosines 1 inside the groups, 0 between them."""
    statistics = of_probes(
        {(own, chunk): [own in TWO[0], own in TWO[1]] for own in FOUR for chunk in range(6)}
    )
    found = cluster_languages(statistics, UNIT)
    np.testing.assert_allclose(
        found.distances, [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]], atol=1e-12
    )
    np.testing.assert_allclose(found.merges[:, 2], [0, 0, 1], atol=1e-12)
    assert found.silhouettes == {2: 1.0, 3: pytest.approx(0.5)}  # then two of four are alone
    assert found.groups == tuple(TWO)
    assert found.p_value <= 0.01
    assert found.p_value == max(found.p_same, found.p_apart)


# -- planted structure


@pytest.mark.parametrize("linkage", TREE_LINKAGES)
@pytest.mark.parametrize("noise", [1.0, 2.0])
@pytest.mark.parametrize(
    ("means", "groups"),
    [
        (groups_of(TWO), TWO),
        (groups_of(TWO, common=0.2, own=0.4), TWO),
        (groups_of(ODD), ODD),
        (conflict(TWO), TWO),
    ],
    ids=["two", "two-with-own", "odd-one-out", "conflict"],
)
def test_planted_groups_are_found(means, groups, noise, linkage):
    found = cluster_languages(planted(means, 12, noise, 0.5), UNIT, linkage, permutations=199)
    assert found.partition() == tuple(groups), found
    assert found.unplaced == (), found


@pytest.mark.parametrize("linkage", TREE_LINKAGES)
@pytest.mark.parametrize(
    ("means", "noise", "shared"),
    [(NOTHING, 1.0, 1.0), (ALIKE, 0.3, 0.5), (ALIKE, 2.0, 0.5), (APART, 1.0, 0.5)],
    ids=["noise", "one-signal", "one-signal-in-noise", "equally-apart"],
)
def test_without_groups_it_says_so(means, noise, shared, linkage):
    found = cluster_languages(planted(means, 12, noise, shared), UNIT, linkage, permutations=199)
    assert not found.p_value <= 0.05, found
    assert found.partition() == (found.languages,)


@pytest.mark.parametrize("chunks", [3, 8])
@pytest.mark.parametrize(
    ("means", "noise"),
    [(NOTHING, 1.0), (ALIKE, 1.0), (ALIKE, UNEQUAL_NOISE), (APART, 1.0), (APART, UNEQUAL_NOISE)],
    ids=["noise", "same", "same-unequal-noise", "apart", "apart-unequal-noise"],
)
def test_the_level_of_the_test(means, noise, chunks):
    """At 0.05, of 40 of each; 7 or fewer reject 99.9 % of the time."""
    rejected = 0
    for seed in range(40):
        statistics = planted(means, chunks, noise, 0.5, seed)
        rejected += cluster_languages(statistics, UNIT, "average", None, 39, seed).p_value <= 0.05
    assert rejected <= 7, rejected


def test_exchange_alone_would_find_groups_in_languages_that_are_equally_apart():
    """Why there are two null hypotheses, on eight languages at right angles with much noise."""
    means = groups_of([[f"l{index}"] for index in range(8)], common=0.0)
    same, both = 0, 0
    for seed in range(20):
        found = cluster_languages(planted(means, 12, 3.0, 0.5, seed), UNIT, permutations=39)
        same += found.p_same <= 0.05
        both += found.p_value <= 0.05
    assert both <= 3, both
    assert same > 6, same


# -- properties


@pytest.mark.parametrize("linkage", TREE_LINKAGES)
@pytest.mark.parametrize("seed", range(3))
def test_renaming_languages_renames_the_groups(seed, linkage):
    order = np.random.default_rng(seed).permutation(4)
    statistics = planted(groups_of(ODD), 6, 1.0, 0.5, seed)
    one, other = (
        cluster_languages(own, UNIT, linkage) for own in (statistics, renamed(statistics, order))
    )
    np.testing.assert_allclose(other.distances[np.ix_(order, order)], one.distances, atol=1e-12)
    new = {FOUR[old]: FOUR[order[old]] for old in range(4)}
    assert {frozenset(group) for group in other.groups} == {
        frozenset(new[own] for own in group) for group in one.groups
    }
    assert other.silhouettes == pytest.approx(one.silhouettes)
    assert other.p_value == pytest.approx(one.p_value, abs=0.05)  # other draws


def test_the_length_of_a_languages_gradients_does_not_matter():
    statistics = planted(groups_of(TWO), 6)
    factors = np.array([1e-3, 1.0, 1e3, 7.0])[statistics.probe_languages]
    scaled = type(statistics)(
        **{**vars(statistics), "gram": statistics.gram * np.outer(factors, factors)}
    )
    one, other = cluster_languages(statistics, UNIT), cluster_languages(scaled, UNIT)
    np.testing.assert_allclose(other.distances, one.distances, atol=1e-12)
    assert (other.groups, other.p_same, other.p_apart) == (one.groups, one.p_same, one.p_apart)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 7), linkage=st.sampled_from(TREE_LINKAGES))
def test_the_levels_of_the_tree_are_scipys(seed, count, linkage):
    points = np.random.default_rng(seed).normal(size=(count, 3))
    tree = Tree.of(np.linalg.norm(points[:, None] - points[None], axis=2), linkage)
    assert sorted(tree.levels) == list(range(1, count + 1))
    for k, groups in tree.levels.items():
        labels = fcluster(tree.merges, k, "maxclust")
        expected = {frozenset(np.flatnonzero(labels == label)) for label in set(labels)}
        assert {frozenset(group) for group in groups} == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(3, 7), linkage=st.sampled_from(TREE_LINKAGES))
def test_many_trees_are_as_one(seed, count, linkage):
    """What the levels of each tree explain, from the trees one by one."""
    points = np.random.default_rng(seed).normal(size=(5, count, 3))
    matrices = np.linalg.norm(points[:, :, None] - points[:, None], axis=3)
    pairs = np.triu_indices(count, k=1)
    for k in range(2, count):
        found = largest_explained(matrices, linkage, [k])
        for matrix, value in zip(matrices, found):
            groups = Tree.of(matrix, linkage).levels[k]
            inside = np.array([any({i, j} <= set(own) for own in groups) for i, j in zip(*pairs)])
            gap = matrix[pairs][~inside].mean() - matrix[pairs][inside].mean()
            expected = np.sign(gap) * gap**2 * inside.sum() * (~inside).sum() / len(inside)
            assert value == pytest.approx(expected)


def test_equal_distances_merge_by_name():
    matrix = 1.0 - np.eye(4)
    for linkage, noise in itertools.product(TREE_LINKAGES, (0.0, 1e-15)):
        wobble = noise * np.random.default_rng(0).normal(size=(4, 4))
        tree = Tree.of(matrix + wobble + wobble.T, linkage)
        assert tree.levels == Tree.of(matrix, linkage).levels
        assert tree.levels[3] == ((0, 1), (2,), (3,))


# -- the edges


def test_the_number_of_groups_may_be_given():
    statistics = planted(groups_of(TWO), 12)
    for count in (1, 2, 3, 4):
        found = cluster_languages(statistics, UNIT, groups=count, permutations=99)
        assert len(found.groups) == count
        assert np.isnan(found.p_value) == (count in (1, 4))
    with pytest.raises(OptionError, match=f"expected 1 to 4, .* on '{UNIT}' .*; found 5"):
        cluster_languages(statistics, UNIT, groups=5)
    with pytest.raises(OptionError, match="found 0"):
        cluster_languages(statistics, UNIT, groups=0)


def test_a_zero_gradient_is_not_placed():
    means = groups_of(TWO)
    statistics = planted(means, 6, {**dict.fromkeys(FOUR, 1.0), "gle": 0.0})
    zero = statistics.gram.copy()
    zero[:, 18:], zero[:, :, 18:] = 0.0, 0.0
    found = cluster_languages(type(statistics)(**{**vars(statistics), "gram": zero}), UNIT)
    assert found.unplaced == ("gle",)
    assert found.groups == (("aeb", "est"), ("bem",))


def test_one_chunk_gives_groups_but_no_test():
    found = cluster_languages(planted(groups_of(TWO), 1, 0.3), UNIT)
    assert found.groups == tuple(TWO)
    assert np.isnan(found.p_value)
    assert found.partition() == (FOUR,)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_languages_are_one_group(count):
    found = cluster_languages(planted({own: [3.0] for own in FOUR[:count]}, 6), UNIT)
    assert found.groups == (FOUR[:count],)
    assert found.merges.shape == (count - 1, 4)
    assert found.silhouettes == {}
    assert np.isnan(found.p_value)


def test_all_gradients_zero_is_no_group():
    statistics = planted(NOTHING, 3, 0.0)
    found = cluster_languages(statistics, UNIT)
    assert (found.groups, found.unplaced, found.silhouettes) == ((), FOUR, {})
    assert found.merges.shape == (0, 4)
    with pytest.raises(OptionError, match="expected 1 to 0"):
        cluster_languages(statistics, UNIT, groups=1)


def test_what_is_not_there_is_named():
    statistics = planted(ALIKE, 2)
    with pytest.raises(StatisticsError, match="they lack 'fc9'"):
        cluster_languages(statistics, "fc9")
    with pytest.raises(OptionError, match="one of average, ward, found 'single'"):
        cluster_languages(statistics, UNIT, "single")
