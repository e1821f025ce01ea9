"""Rules, known from inner products alone, against what papers do with whole gradients."""

import numpy as np
import pytest
from scipy.optimize import minimize

from fairseq_gist.combining.rules import all_rules, rule_named
from fairseq_gist.combining.rules.gradvac import DECAY, GradVac
from fairseq_gist.combining.rules.pcgrad import PCGrad
from fairseq_gist.combining.rules.upgrad import UPGrad
from fairseq_gist.errors import OptionError

SEEDS = range(20)


def gradients(seed, count=4, size=6):
    return np.random.default_rng(seed).normal(size=(count, size)) + 0.1 * seed


def combined(rule, vectors, seed=0):
    present = np.arange(len(vectors))
    weights = rule.weights(vectors @ vectors.T, present, np.random.default_rng(seed))
    return weights @ vectors


def pcgrad(vectors, draw):
    """Algorithm 1 as it stands in the paper, on the vectors."""
    projected = []
    for one, own in enumerate(vectors):
        gradient = own.copy()
        for other in draw.permutation(len(vectors)):
            against = vectors[other]
            if other != one and gradient @ against < 0:
                gradient = gradient - gradient @ against / (against @ against) * against
        projected.append(gradient)
    return np.sum(projected, axis=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_pcgrad_is_the_papers(seed):
    vectors = gradients(seed)
    expected = pcgrad(vectors, np.random.default_rng(seed))
    found = combined(PCGrad(len(vectors)), vectors, seed)
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


def gradvac(vectors, usual, draw):
    """Equations 2 and 3 of the paper, on the vectors; changes ``usual``."""
    turned = []
    for one, own in enumerate(vectors):
        gradient = own.copy()
        for other in draw.permutation(len(vectors)):
            if other == one:
                continue
            against = vectors[other]
            norms = np.linalg.norm(gradient), np.linalg.norm(against)
            cosine, wanted = gradient @ against / (norms[0] * norms[1]), usual[one, other]
            if cosine < wanted:
                above = wanted * np.sqrt(1 - cosine**2) - cosine * np.sqrt(1 - wanted**2)
                gradient = (
                    gradient + norms[0] * above / (norms[1] * np.sqrt(1 - wanted**2)) * against
                )
            usual[one, other] = (1 - DECAY) * wanted + DECAY * cosine
        turned.append(gradient)
    return np.sum(turned, axis=0)


def test_gradvac_is_the_papers_batch_after_batch():
    rule, usual = GradVac(4), np.zeros((4, 4))
    for seed in SEEDS:
        vectors = gradients(seed)
        expected = gradvac(vectors, usual, np.random.default_rng(seed))
        found = combined(rule, vectors, seed)
        assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()
    assert np.abs(rule.usual - usual).max() < 1e-12
    again = GradVac(4)
    again.load_state(rule.state())
    assert np.array_equal(again.usual, rule.usual)
    other = GradVac(3)
    other.load_state(rule.state())
    assert not other.usual.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_upgrad_projects_on_what_harms_none(seed):
    """Each gradient's nearest direction with no negative product, found by another solver."""
    vectors = gradients(seed)
    parts = []
    for own in vectors:
        solved = minimize(
            lambda x, own=own: ((x - own) ** 2).sum(), own, jac=lambda x, own=own: 2 * (x - own),
            constraints=[{"type": "ineq", "fun": lambda x: vectors @ x, "jac": lambda _: vectors}],
            method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        )  # fmt: skip
        assert solved.success
        parts.append(solved.x)
    expected, found = np.sum(parts, axis=0), combined(UPGrad(len(vectors)), vectors)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert (vectors @ found > -1e-9 * (vectors**2).sum()).all()


@pytest.mark.parametrize("name", all_rules())
def test_without_a_conflict_it_is_the_sum(name):
    vectors = np.abs(gradients(3))
    found = combined(rule_named(name)(len(vectors)), vectors)
    assert np.abs(found - vectors.sum(0)).max() < 1e-12


@pytest.mark.parametrize("name", all_rules())
def test_scale_changes_nothing(name):
    vectors = gradients(5) - 1
    one = combined(rule_named(name)(len(vectors)), vectors)
    other = combined(rule_named(name)(len(vectors)), 1e4 * vectors)
    assert np.abs(other / 1e4 - one).max() < 1e-9 * np.abs(one).max()


@pytest.mark.parametrize("name", all_rules())
def test_opposite_gradients_are_no_trouble(name):
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0], [0.5, 1.0]])
    assert np.isfinite(combined(rule_named(name)(3), vectors)).all()


def test_a_rule_that_is_none():
    with pytest.raises(OptionError, match="expected gradvac, pcgrad, upgrad, found 'mgda'"):
        rule_named("mgda")
