"""Does family explain similarity? Against a plain loop over all permutations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairseq_gist.report.mantel import compare_families

FAMILIES = ["G", "R", "R", "R", "G", "R", "S"]


def similarities(seed, bonus=0.0, families=FAMILIES):
    generator = np.random.default_rng(seed)
    matrix = generator.uniform(0, 0.5, size=(len(families),) * 2)
    matrix += bonus * (np.array(families)[:, None] == np.array(families)[None, :])
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return matrix


def by_loops(matrix, families):
    above = list(itertools.combinations(range(len(families)), 2))
    cosines = [matrix[pair] for pair in above]

    def correlation(order):
        same = [float(families[order[i]] == families[order[j]]) for i, j in above]
        return np.corrcoef(cosines, same)[0, 1]

    observed = correlation(range(len(families)))
    every = [correlation(order) for order in itertools.permutations(range(len(families)))]
    return observed, np.mean(np.array(every) >= observed - 1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_exact_for_few_languages(seed):
    families = FAMILIES[:6]
    matrix = similarities(seed, 0.1, families)
    correlation, p = by_loops(matrix, families)
    found = compare_families(matrix, families)
    assert found.is_exact
    assert found.permutations == 720
    assert found.correlation == pytest.approx(correlation, abs=1e-12)
    assert found.p == pytest.approx(p, abs=1e-12)


def test_planted_families_are_found_and_their_order_does_not_matter():
    matrix = similarities(3, bonus=0.6)
    found = compare_families(matrix, FAMILIES)
    assert found.p < 0.02
    assert found.within > found.across + 0.4
    order = [4, 2, 6, 0, 1, 5, 3]
    turned = compare_families(matrix[np.ix_(order, order)], [FAMILIES[i] for i in order])
    assert turned.p == pytest.approx(found.p)
    assert turned.correlation == pytest.approx(found.correlation)


def test_without_families_it_says_yes_no_more_often_than_it_should():
    ps = [compare_families(similarities(seed), FAMILIES).p for seed in range(100)]
    assert np.mean(np.array(ps) <= 0.05) <= 0.1
    assert 0.35 < np.mean(ps) < 0.65


def test_many_languages_are_sampled_with_the_same_result_every_time():
    families = [f"f{index % 5}" for index in range(30)]
    matrix = similarities(1, 0.2, families)
    one, two = (compare_families(matrix, families) for _ in range(2))
    assert one == two
    assert not one.is_exact
    assert one.p < 0.001


@pytest.mark.parametrize(
    "families",
    [["G"] * 7, list("GRSUTBC"), ["G", "G", "R", None, None, None, None]],
    ids=["all of one", "all of different ones", "too few known"],
)
def test_where_the_question_cannot_be_asked(families):
    assert compare_families(similarities(0), families) is None


def test_equal_cosines_and_undefined_ones():
    assert compare_families(np.full((7, 7), 0.5), FAMILIES) is None
    matrix = similarities(3, bonus=0.6)
    matrix[2, :] = matrix[:, 2] = np.nan
    kept = [0, 1, 3, 4, 5, 6]
    without = compare_families(matrix[np.ix_(kept, kept)], [FAMILIES[i] for i in kept])
    assert compare_families(matrix, FAMILIES) == without
