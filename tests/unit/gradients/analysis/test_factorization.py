"""The joint factorization: basis, energies, directions, angles and canonical correlations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from fairseq_gist.errors import OptionError, StatisticsError
from fairseq_gist.gradients.analysis.canonical import canonical_correlation
from fairseq_gist.gradients.analysis.directions import directions
from fairseq_gist.gradients.analysis.divergence import divergence
from fairseq_gist.gradients.analysis.factorization import factorize
from fairseq_gist.gradients.analysis.subspaces import principal_cosines
from tests.unit.planted import UNIT, conflict, groups_of, of_probes, planted, renamed

FOUR = ("aeb", "bem", "est", "gle")
NOTHING = {language: [0.0] for language in FOUR}
ALIKE = groups_of([FOUR])


def vectors_of(languages=FOUR, chunks=4, width=7, seed=0, mean=0.5):
    generator = np.random.default_rng(seed)
    return {
        (own, chunk): mean + generator.normal(size=width)
        for own in languages
        for chunk in range(chunks)
    }


def changed(statistics, gram):
    return type(statistics)(**{**vars(statistics), "gram": gram})


def zeroed(statistics, language):
    gram = statistics.gram.copy()
    own = statistics.probe_languages == statistics.languages.index(language)
    gram[:, own], gram[:, :, own] = 0.0, 0.0
    return changed(statistics, gram)


# -- the basis and the energies


def test_a_factorization_worked_out_by_hand():
    """Three of four probes along x and one along y: singular values √3 and 1."""
    found = factorize(
        of_probes({("a", 0): [2, 0], ("a", 1): [5, 0], ("b", 0): [1, 0], ("b", 1): [0, 3]}), UNIT
    )
    np.testing.assert_allclose(found.singular_values, [3**0.5, 1])
    np.testing.assert_allclose(
        found.coordinates, [[1, 0], [1, 0], [1, 0], [0, 1]], atol=1e-12, rtol=0
    )
    np.testing.assert_allclose(found.explained, [0.75, 0.25])
    np.testing.assert_allclose(found.energy, [[1, 0], [0.5, 0.5]], atol=1e-12)
    np.testing.assert_allclose(found.signal, [[1, 0], [0, 0]], atol=1e-12)
    np.testing.assert_allclose(found.proportions([["a"], ["b"]]), [0.5, 0.5])
    first = factorize(
        of_probes({("a", 0): [2, 0], ("a", 1): [5, 0], ("b", 0): [1, 0], ("b", 1): [0, 3]}), UNIT, 1
    )
    np.testing.assert_allclose(first.proportions([["a"], ["b"]]), [2 / 3, 1 / 3])
    np.testing.assert_allclose(first.proportions([["b", "a"]]), [1])


def test_it_is_the_singular_value_decomposition_of_the_stack():
    probes = vectors_of()
    rows = np.array([row / np.linalg.norm(row) for row in probes.values()])
    u, s, _ = np.linalg.svd(rows, full_matrices=False)
    found = factorize(of_probes(probes), UNIT, 4)
    np.testing.assert_allclose(found.singular_values, s[:4])
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs(u * s)[:, :4], atol=1e-9)
    assert (found.coordinates.sum(axis=0) > 0).all()
    assert found.total == pytest.approx(len(rows))


def test_a_whole_basis_holds_everything():
    statistics = of_probes(vectors_of())
    found = factorize(statistics, UNIT)
    assert len(found.singular_values) == 7  # the rank, not the 30 asked for
    np.testing.assert_allclose(found.energy.sum(axis=1), 1)
    np.testing.assert_allclose(
        found.coordinates @ found.coordinates.T, found.probes.gram, atol=1e-9
    )
    expected = divergence(statistics, UNIT, permutations=1).self_similarity
    np.testing.assert_allclose(found.signal.sum(axis=1), expected)


def test_noise_has_energy_but_no_signal():
    noise, same = (
        factorize(planted(means, 24, 1.0, seed=1), UNIT, 3) for means in (NOTHING, ALIKE)
    )
    assert (noise.energy.sum(axis=1) > 0.05).all(), noise.energy
    assert (noise.signal.sum(axis=1) < 0.03).all(), noise.signal
    assert (same.signal[:, 0] > 0.4).all(), same.signal


@pytest.mark.parametrize("seed", range(3))
def test_renaming_languages_renames_rows(seed):
    order = np.random.default_rng(seed).permutation(4)
    statistics = of_probes(vectors_of(seed=seed))
    one, other = (factorize(own, UNIT, 3) for own in (statistics, renamed(statistics, order)))
    np.testing.assert_allclose(other.singular_values, one.singular_values)
    np.testing.assert_allclose(other.energy[order], one.energy, atol=1e-9)
    first, second = directions(one), directions(other)
    np.testing.assert_allclose(second.means[:, order], first.means, atol=1e-9)
    np.testing.assert_allclose(second.p_values[:, order], first.p_values, atol=1e-9)
    cosines = principal_cosines(statistics, UNIT, 2)
    again = principal_cosines(renamed(statistics, order), UNIT, 2)
    np.testing.assert_allclose(again[np.ix_(order, order)], cosines, atol=1e-9)


def test_the_length_of_gradients_does_not_matter():
    statistics = of_probes(vectors_of())
    factors = np.random.default_rng(1).uniform(1e-3, 1e3, size=len(statistics.probe_chunks))
    scaled = changed(statistics, statistics.gram * np.outer(factors, factors))
    one, other = (factorize(own, UNIT) for own in (statistics, scaled))
    np.testing.assert_allclose(other.coordinates, one.coordinates, atol=1e-7)


def test_where_coordinates_cancel_the_first_is_positive():
    turned = {("a", 0): [-1.0, 0], ("a", 1): [1, 0], ("b", 0): [0, -2], ("b", 1): [0, -2]}
    found = factorize(of_probes(turned), UNIT)
    np.testing.assert_allclose(
        sorted(found.coordinates.T.tolist()), [[0, 0, 1, 1], [1, -1, 0, 0]], atol=1e-12
    )


def test_zero_gradients_have_no_components():
    found = factorize(planted(NOTHING, 3, 0.0), UNIT)
    assert found.singular_values.shape == (0,)
    assert found.energy.shape == found.signal.shape == (4, 0)
    assert np.isnan(found.proportions([FOUR[:1], FOUR[1:]])).all()
    assert directions(found).kinds() == ()
    none = canonical_correlation(factorize(planted(NOTHING, 9, 0.0), UNIT), "aeb", "gle")
    assert none.correlations.shape == (0,)
    assert np.isnan(none.p_value)


def test_one_zero_gradient_has_no_energy():
    found = factorize(zeroed(of_probes(vectors_of()), "bem"), UNIT)
    np.testing.assert_allclose(found.energy.sum(axis=1), [1, 0, 1, 1], atol=1e-12)
    np.testing.assert_allclose(
        found.proportions([["bem"], ["aeb", "est", "gle"]]), [0, 1], atol=1e-12
    )
    assert (directions(found).p_values[:, 1] == 1).all()


def test_one_language_and_one_chunk():
    alone = factorize(planted({"gle": [3.0]}, 6), UNIT, 2)
    assert alone.energy.shape == (1, 2)
    assert directions(alone).kinds() == ("own", "noise")
    once = factorize(planted(ALIKE, 1), UNIT, 2)
    assert np.isnan(once.signal).all()
    assert np.isnan(directions(once).p_values).all()
    assert directions(once).kinds() == ("noise", "noise")


def test_what_cannot_be_factorized_is_refused():
    statistics = planted(ALIKE, 2)
    with pytest.raises(OptionError, match="components: expected 1 or more, found 0"):
        factorize(statistics, UNIT, 0)
    with pytest.raises(StatisticsError, match="they lack 'fc9'"):
        factorize(statistics, "fc9")
    found = factorize(statistics, UNIT)
    with pytest.raises(OptionError, match="languages aeb, bem, est, gle, found aeb, xx"):
        found.proportions([["aeb", "xx"]])
    with pytest.raises(OptionError, match="found an empty group"):
        found.proportions([["aeb"], []])


# -- directions


def test_directions_worked_out_by_hand():
    """Coordinates 1 and 3 of a language have mean 2 and error 1, so t = 2.

    With one degree of freedom that is Cauchy's distribution: p = 1 - 2/π · arctan 2.
    """
    found = factorize(of_probes({("a", 0): [1, 0], ("a", 1): [1, 0]}), UNIT)
    found.coordinates[:] = [[1.0], [3.0]]
    tested = directions(found)
    assert tested.means.tolist() == [[2.0]]
    assert tested.p_values[0, 0] == pytest.approx(1 - 2 / np.pi * np.arctan(2))
    assert tested.kinds() == ("noise",)
    assert tested.kinds(level=0.5) == ("own",)


def test_one_direction_in_conflict():
    means = conflict([FOUR[:2], FOUR[2:]], common=0.7)
    found = directions(factorize(planted(means, 12, 0.8, 0.2), UNIT, 5))
    assert found.kinds() == ("common", "conflict", "noise", "noise", "noise")
    signs = found.signs()
    assert signs[0].tolist() == [1, 1, 1, 1]
    assert abs(signs[1].sum()) == 0
    assert signs[1, 0] == signs[1, 1] == -signs[1, 2] == -signs[1, 3]


def test_a_group_and_one_by_itself():
    """Groups with nothing in common, and a language that is nothing but noise."""
    means = groups_of([["aeb", "est"], ["bem"]], common=0.0)
    means["gle"] = [0.0]
    found = directions(factorize(planted(means, 12, 0.8, 0.2), UNIT, 4))
    assert found.kinds()[:2] == ("group", "own")
    assert found.signs()[:2].tolist() == [[1, 0, 1, 0], [0, 1, 0, 0]]
    # the noise has turned the first direction a little, and bem, which is clear, shows it
    assert found.kinds(least=0.0)[0] == "conflict"


@pytest.mark.parametrize(
    ("means", "kind"), [(NOTHING, "noise"), (ALIKE, "common")], ids=["noise", "one-signal"]
)
def test_the_level_of_directions(means, kind):
    """At 0.05 for 4 languages and 6 components together; of 60, 9 or fewer 99.9 % of the time."""
    false = 0
    for seed in range(60):
        kinds = directions(factorize(planted(means, 8, 1.0, 0.5, seed), UNIT, 6)).kinds()
        false += kinds != (kind,) + ("noise",) * 5
    assert false <= 9, false


def test_exact_gradients_leave_no_doubt():
    found = directions(factorize(planted(conflict([FOUR[:1], FOUR[1:]], 0.5), 3, 0.0), UNIT))
    assert set(found.p_values.ravel().tolist()) <= {0.0, 1.0}
    assert len(found.kinds()) == 2


# -- angles


def test_angles_are_scipys():
    probes = vectors_of(chunks=3)
    found = principal_cosines(of_probes(probes), UNIT, 3)
    for (i, one), (j, other) in itertools.product(enumerate(FOUR), repeat=2):
        a, b = (np.array([v for (k, _), v in probes.items() if k == own]).T for own in (one, other))
        expected = np.sort(np.cos(subspace_angles(a, b)))[::-1]
        np.testing.assert_allclose(found[i, j], expected, atol=1e-7)


def test_angles_worked_out_by_hand():
    """aeb spans x and y, bem the line of (0, 3, 4): it makes cos = 0.6 with y."""
    probes = {("aeb", 0): [1, 0, 0], ("aeb", 1): [1, 1, 0], ("bem", 0): [0, 3, 4.0]}
    found = principal_cosines(of_probes({**probes, ("bem", 1): [0, -3, -4.0]}), UNIT, 2)
    np.testing.assert_allclose(found[0, 1], [0.6, np.nan])
    np.testing.assert_allclose(found[0, 0], [1, 1])
    np.testing.assert_allclose(found[1, 1], [1, np.nan])


def test_a_zero_gradient_has_no_angles():
    found = principal_cosines(zeroed(of_probes(vectors_of()), "bem"), UNIT)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[:, 1]).all()
    assert not np.isnan(found[::2, ::2]).any()
    with pytest.raises(OptionError, match="dimensions: expected 1 or more, found 0"):
        principal_cosines(of_probes(vectors_of()), UNIT, 0)


# -- canonical correlations


def test_a_correlation_worked_out_by_hand():
    """One component: the correlation of the coordinates, over 1 + ridge.

    aeb has coordinates 1, 2, 3, 4, 5 and bem 2, 1, 4, 3, 5: r = 0.8, in any book on ranks.
    """
    found = factorize(planted({"aeb": [1.0], "bem": [1.0]}, 5, 0.0), UNIT)
    found.coordinates[:, 0] = [1, 2, 3, 4, 5, 2, 1, 4, 3, 5]
    for ridge in (0.0, 0.1, 1.0):
        one = canonical_correlation(found, "aeb", "bem", ridge=ridge)
        assert one.pairs == 5
        np.testing.assert_allclose(one.correlations, [0.8 / (1 + ridge)])
    # of the 120 orders of five, 10 + 6 are as far from 0 (|r| >= 0.8, that is Σd² <= 4 or >= 36)
    exact = np.mean(
        [
            abs(np.corrcoef([1, 2, 3, 4, 5], order)[0, 1]) > 0.8 - 1e-9
            for order in itertools.permutations([1, 2, 3, 4, 5])
        ]
    )
    assert one.p_value == pytest.approx(exact, abs=0.03)


def test_without_ridge_it_is_the_textbooks():
    """Against the eigenvalues of Σ₁₁⁻¹ Σ₁₂ Σ₂₂⁻¹ Σ₂₁."""
    found = factorize(of_probes(vectors_of(("aeb", "bem"), 12)), UNIT, 3)
    z, w = (own - own.mean(axis=0) for own in (found.coordinates[:12], found.coordinates[12:]))
    product = np.linalg.solve(z.T @ z, z.T @ w) @ np.linalg.solve(w.T @ w, w.T @ z)
    expected = np.sort(np.linalg.eigvals(product).real)[::-1] ** 0.5
    one = canonical_correlation(found, "aeb", "bem", 3, ridge=0.0)
    np.testing.assert_allclose(one.correlations, expected)
    other = canonical_correlation(found, "bem", "aeb", 3, ridge=0.0)
    np.testing.assert_allclose(other.correlations, expected)


def together(seed, shared, chunks=24):
    """Return two languages' probes that vary together in one direction, as far as ``shared``."""
    generator = np.random.default_rng(seed)
    both = generator.normal(size=chunks)
    probes = {}
    for language in ("aeb", "bem"):
        rows = generator.normal(size=(chunks, 30)) * 0.2
        rows[:, 0] += 2.0
        rows[:, 1] += shared * both + (1 - shared**2) ** 0.5 * generator.normal(size=chunks)
        probes.update({(language, chunk): row for chunk, row in enumerate(rows)})
    return factorize(of_probes(probes), UNIT, 5)


def test_what_varies_together_is_found():
    found = canonical_correlation(together(0, 0.97), "aeb", "bem", 3)
    assert found.p_value < 0.01, found
    assert 0.6 < found.correlations[0] < 1, found


def test_the_level_with_pairs_that_are_none():
    """At 0.05, of 60; 9 or fewer reject 99.9 % of the time."""
    rejected = [
        canonical_correlation(together(seed, 0.0), "aeb", "bem", 3, 0.1, 59, seed).p_value <= 0.05
        for seed in range(60)
    ]
    assert sum(rejected) <= 9, sum(rejected)


def test_only_chunks_that_both_have_are_pairs():
    probes = vectors_of(("aeb", "bem"), 9)
    del probes["aeb", 2], probes["bem", 5]
    found = canonical_correlation(factorize(of_probes(probes), UNIT), "aeb", "bem")
    assert found.pairs == 7
    assert found.correlations.shape == (2,)


def test_what_does_not_vary_correlates_with_nothing():
    found = canonical_correlation(factorize(planted(ALIKE, 6, 0.0), UNIT), "aeb", "bem")
    assert found.correlations.tolist() == [0.0]
    assert found.p_value == 1.0


def test_too_few_pairs_have_no_correlation():
    found = canonical_correlation(factorize(planted(ALIKE, 3), UNIT), "aeb", "bem")
    assert np.isnan(found.p_value)
    assert np.isnan(found.correlations).all()


def test_what_cannot_be_correlated_is_refused():
    found = factorize(planted(ALIKE, 6), UNIT)
    with pytest.raises(OptionError, match="components: expected 1 to 4 for the 6 chunks .*found 5"):
        canonical_correlation(found, "aeb", "bem", 5)
    with pytest.raises(OptionError, match="ridge: expected 0 or more, found -1"):
        canonical_correlation(found, "aeb", "bem", ridge=-1)
    with pytest.raises(StatisticsError, match="no language 'xx'; they are for aeb, bem, est, gle"):
        canonical_correlation(found, "aeb", "xx")
