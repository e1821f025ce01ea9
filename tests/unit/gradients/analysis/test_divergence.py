"""Self- and cross-task divergence, its noise, and the capacity that follows from it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.capacity import ALLOCATIONS, shared_fraction
from fairseq_gist.gradients.analysis.divergence import divergence
from tests.unit.planted import UNIT, conflict, groups_of, of_probes, planted, renamed

FOUR = ("aeb", "bem", "est", "gle")
ALIKE = groups_of([FOUR])
TWO_GROUPS = groups_of([FOUR[:2], FOUR[2:]])
ROOT = 0.5**0.5


def worked_out():
    """Return two languages of three chunks, whose cosines can be seen.

    aeb lies along x, x and the diagonal; bem along y, y and y, with any lengths.
    """
    return of_probes(
        {
            ("aeb", 0): [2, 0],
            ("aeb", 1): [1, 0],
            ("aeb", 2): [3, 3],
            ("bem", 0): [0, 5],
            ("bem", 1): [0, 1],
            ("bem", 2): [0, 2],
        }
    )


def test_a_case_worked_out_by_hand():
    """Cosines of aeb's chunks: 1, r, r with r = √½. Of bem's: 1, 1, 1.

    Between them, chunks 0-1, 0-2, 1-0, 1-2, 2-0, 2-1 of aeb-bem: 0, 0, 0, 0, r, r. The pair 2-2,
    whose cosine is r too, is of one chunk and doesn't count.
    """
    found = divergence(worked_out(), UNIT)
    own, cross = (1 + 2 * ROOT) / 3, 2 * ROOT / 6
    np.testing.assert_allclose(found.self_similarity, [own, 1.0])
    np.testing.assert_allclose(found.cross_similarity, [cross, cross])
    np.testing.assert_allclose(found.language_delta, [own - cross, 1 - cross])
    assert found.delta == pytest.approx((own + 1) / 2 - cross)
    assert found.relative == pytest.approx(found.delta / ((own + 1) / 2))
    # without chunk 0, 1, 2: self r, r, 1 of aeb and 1 of bem; cross r/2, r/2, 0; delta ½, ½, 1
    without = np.array([0.5, 0.5, 1.0])
    error = (2 / 3 * ((without - without.mean()) ** 2).sum()) ** 0.5
    t_of_two = 4.302652729911275  # 97.5 %, in any table
    np.testing.assert_allclose(
        found.interval, [found.delta - t_of_two * error, found.delta + t_of_two * error]
    )


def test_no_draw_of_two_chunks_is_smaller_than_the_least():
    """Two languages, two chunks: who is who can be exchanged in one way that matters."""
    found = divergence(
        of_probes({("a", 0): [1, 0], ("a", 1): [1, 0.1], ("b", 0): [0, 1], ("b", 1): [0.1, 1]}),
        UNIT,
        permutations=399,
    )
    assert found.p_value == pytest.approx(0.5, abs=0.08)  # half the draws leave all as it was
    assert np.isnan(found.interval).all()


# -- planted structure


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_gradients_that_differ_have_a_divergence(noise):
    for means in (TWO_GROUPS, conflict([FOUR[:2], FOUR[2:]])):
        found = divergence(planted(means, 12, noise), UNIT)
        assert found.p_value < 0.01, found
        assert found.interval[0] > 0, found
        if noise == 1.0:
            assert (found.language_p_values < 0.05).all(), found


@pytest.mark.parametrize(("means", "shared"), [(ALIKE, 0.5), ({k: [0.0] for k in FOUR}, 1.0)])
def test_noise_alone_has_none(means, shared):
    found = divergence(planted(means, 12, 1.0, shared, seed=1), UNIT)
    assert found.p_value > 0.05, found
    assert found.interval[0] < 0 < found.interval[1], found
    assert (found.language_intervals[:, 0] < 0).all(), found
    assert abs(found.delta) < 0.05, found


def test_what_a_chunk_shares_is_no_agreement_between_languages():
    """Comparing within chunks would find languages more alike to others than to themselves."""
    found = divergence(planted(ALIKE, 12, 0.5, shared=2.0), UNIT)
    assert found.interval[0] < 0 < found.interval[1], found


@pytest.mark.parametrize(
    ("means", "noise", "shared"),
    [({k: [0.0] for k in FOUR}, 1.0, 0.5), (ALIKE, 1.0, 0.5), (ALIKE, 3.0, 0.0)],
)
def test_the_level_of_the_test(means, noise, shared):
    """At 0.05 and 8 chunks, of 60 of each; 9 or fewer reject 99.9 % of the time."""
    rejected = [
        divergence(planted(means, 8, noise, shared, seed), UNIT, 39, seed).p_value <= 0.05
        for seed in range(60)
    ]
    assert sum(rejected) <= 9, sum(rejected)


@pytest.mark.parametrize(("noise", "delta"), [(1.0, 0.1677), (3.0, 0.0337)])
def test_the_coverage_of_the_interval(noise, delta):
    """Of 60 intervals at 95 % with 6 chunks; delta was found from 1800 chunks."""
    covered = 0
    for seed in range(60):
        found = divergence(planted(TWO_GROUPS, 6, noise, 0.0, seed), UNIT, permutations=1)
        covered += found.interval[0] <= delta <= found.interval[1]
    assert covered >= 52, covered


# -- properties


@pytest.mark.parametrize("seed", range(3))
def test_renaming_languages_renames_the_result(seed):
    order = np.random.default_rng(seed).permutation(4)
    statistics = planted(conflict([FOUR[:1], FOUR[1:]], 0.5), 5, 1.0, 0.5, seed)
    one, other = divergence(statistics, UNIT), divergence(renamed(statistics, order), UNIT)
    np.testing.assert_allclose(other.language_delta[order], one.language_delta, atol=1e-12)
    np.testing.assert_allclose(other.language_intervals[order], one.language_intervals, atol=1e-12)
    assert other.delta == pytest.approx(one.delta)
    assert other.p_value == pytest.approx(one.p_value, abs=0.05)  # other draws


def test_the_length_of_gradients_does_not_matter():
    statistics = planted(TWO_GROUPS, 5)
    factors = np.random.default_rng(1).uniform(1e-4, 1e4, size=len(statistics.probe_chunks))
    scaled = of_same_layout(statistics, statistics.gram * np.outer(factors, factors))
    one, other = divergence(statistics, UNIT), divergence(scaled, UNIT)
    assert other.delta == pytest.approx(one.delta)
    assert other.interval == pytest.approx(one.interval)
    assert other.p_value == one.p_value


def of_same_layout(statistics, gram):
    return type(statistics)(**{**vars(statistics), "gram": gram})


def test_a_seed_means_one_result():
    statistics = planted(ALIKE, 5)
    p = [divergence(statistics, UNIT, seed=seed).p_value for seed in (0, 0, 1)]
    assert p[0] == p[1] != p[2]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_languages_may_miss_chunks(data, seed):
    """Figures are means over the pairs that there are, by loops over the definition."""
    generator = np.random.default_rng(seed)
    probes = {(own, chunk): generator.normal(size=4) for own in FOUR for chunk in range(5)}
    for key in data.draw(st.sets(st.sampled_from(sorted(probes)), max_size=8)):
        if sum(own == key[0] for own, _ in probes) > 2:
            del probes[key]
    found = divergence(of_probes(probes), UNIT, permutations=9)
    for index, own in enumerate(FOUR):
        assert found.self_similarity[index] == pytest.approx(mean_cosine(probes, own, own))
        cross = np.mean([mean_cosine(probes, own, other) for other in FOUR if other != own])
        assert found.cross_similarity[index] == pytest.approx(cross)


def mean_cosine(probes, one, other):
    return np.mean(
        [
            np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
            for (j, a), (k, b) in itertools.product(probes.items(), probes.items())
            if j[0] == one and k[0] == other and j[1] != k[1]
        ]
    )


# -- the edges


def test_a_language_with_a_zero_gradient_is_left_out():
    statistics = planted(TWO_GROUPS, 5)
    zero = statistics.gram.copy()
    zero[:, 7], zero[:, :, 7] = 0.0, 0.0  # one of bem's
    found = divergence(of_same_layout(statistics, zero), UNIT)
    others = planted(TWO_GROUPS, 5)
    rest = [index for index in range(20) if not 5 <= index < 10]
    without = divergence(
        of_probes(
            {
                (FOUR[others.probe_languages[i]], others.probe_chunks[i]): row
                for i, row in zip(rest, np.linalg.cholesky(others.gram[0])[rest])
            }
        ),
        UNIT,
    )
    np.testing.assert_array_equal(np.isnan(found.language_delta), [False, True, False, False])
    np.testing.assert_array_equal(np.isnan(found.language_p_values), [False, True, False, False])
    assert found.delta == pytest.approx(without.delta)


@pytest.mark.parametrize(
    ("languages", "chunks", "zero"), [(FOUR[:1], 5, False), (FOUR, 1, False), (FOUR, 5, True)]
)
def test_nothing_to_compare_with_is_not_a_number(languages, chunks, zero):
    statistics = planted({language: [1.0] for language in languages}, chunks)
    if zero:
        statistics = of_same_layout(statistics, np.zeros_like(statistics.gram))
    found = divergence(statistics, UNIT, permutations=9)
    assert np.isnan([found.delta, *found.interval, found.p_value, found.relative]).all()
    with pytest.raises(StatisticsError, match="the divergence of the languages isn't defined"):
        shared_fraction(found.delta)


def test_a_unit_that_was_not_recorded_is_named():
    with pytest.raises(StatisticsError, match="they lack 'fc9'"):
        divergence(planted(ALIKE, 2), "fc9")


# -- capacity


@pytest.mark.parametrize(
    ("delta", "share"), [(-1, 0.75), (0.0499, 0.75), (0.05, 0.5), (0.1499, 0.5), (0.15, 0.25)]
)
def test_the_steps_of_the_paper(delta, share):
    assert shared_fraction(delta, "steps") == share


@pytest.mark.parametrize("delta", [-0.3, 0.0, 0.1, 0.2, 0.9])
def test_the_line_goes_through_the_steps(delta):
    assert shared_fraction(delta) == pytest.approx(shared_fraction(delta, "steps"))


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=9))
def test_more_divergence_never_means_a_larger_share(deltas):
    for allocation in ALLOCATIONS:
        shares = [shared_fraction(delta, allocation) for delta in sorted(deltas)]
        assert shares == sorted(shares, reverse=True)
        assert all(0.25 <= share <= 0.75 for share in shares)
    apart = [abs(shared_fraction(delta) - shared_fraction(delta, "steps")) for delta in deltas]
    assert max(apart) <= 0.125 + 1e-9


def test_an_unknown_allocation_is_refused():
    with pytest.raises(OptionError, match="one of continuous, steps, found 'half'"):
        shared_fraction(0.1, "half")
