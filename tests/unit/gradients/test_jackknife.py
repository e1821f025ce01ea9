"""Intervals of cosines: against loops, and whether they hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t

from fairseq_gist.gradients.jackknife import CosineJackknife, delete_one_chunk
from tests.unit.made_up import statistics_of


def noisy(seed, chunks, noise, width=30, units=1):
    """Return statistics of two languages at a known angle, and the cosine of that angle."""
    generator = np.random.default_rng(seed)
    one, other = generator.normal(size=(2, width))
    truth = one @ other / np.sqrt((one @ one) * (other @ other))
    vectors = {f"u{number}": {"a": one, "b": other} for number in range(units)}
    found = statistics_of(vectors, chunks=chunks, languages=("a", "b"))
    probes = np.concatenate(
        [vector + noise * generator.normal(size=(chunks, width)) for vector in (one, other)]
    )
    gram = np.array([probes @ probes.T] * units)
    return type(found)(**{**vars(found), "gram": gram}), truth


def test_against_the_definition():
    statistics, _ = noisy(1, chunks=5, noise=1.0)
    probes = statistics.gram[0]

    def cosine(left_out):
        kept = [chunk for chunk in range(5) if chunk != left_out]

        def mean(start, end):
            pairs = [(i, j) for i in kept for j in kept if i != j]
            return np.mean([probes[start + i, end + j] for i, j in pairs])

        return mean(0, 5) / np.sqrt(mean(0, 0) * mean(5, 5))

    without = [cosine(chunk) for chunk in range(5)]
    error = np.sqrt(4 / 5 * sum((value - np.mean(without)) ** 2 for value in without))
    found = CosineJackknife(statistics).estimate(lambda cosines: cosines[:, 0, 1])
    assert found.value[0] == pytest.approx(cosine(None), abs=1e-12)
    assert found.high[0] - found.value[0] == pytest.approx(student_t.ppf(0.975, 4) * error)
    assert found.value[0] - found.low[0] == pytest.approx(student_t.ppf(0.975, 4) * error)


@pytest.mark.parametrize("chunks", [4, 8, 16])
@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_intervals_hold_the_true_cosine_about_as_often_as_they_say(chunks, noise):
    held = []
    for seed in range(300):
        statistics, truth = noisy(seed, chunks, noise, width=60)
        found = CosineJackknife(statistics).estimate(lambda cosines: cosines[0, 0, 1])
        if not np.isnan(found.low):
            held.append(found.low <= truth <= found.high)
    share = np.mean(held)
    assert len(held) > 290
    assert 0.90 <= share <= 0.985, f"{share:.3f} of {len(held)} intervals hold the true cosine"


def test_what_noise_carries_past_one_is_the_least_certain():
    """Two opposed gradients, hardly any noise, and two that are nothing but noise."""
    for seed in range(1000):
        statistics, _ = noisy(seed, chunks=4, noise=8.0)
        as_they_are = [
            float(statistics.cosines(without_chunk=chunk, clipped=False)[0, 0, 1])
            for chunk in (None, 0, 1, 2, 3)
        ]
        if np.isfinite(as_they_are).all() and max(as_they_are) < -1.0:
            break
    assert statistics.cosines()[0, 0, 1] == -1.0
    found = CosineJackknife(statistics).estimate(lambda own: own[:, 0, 1], is_mean=False)
    error = np.sqrt(3 / 4 * sum((one - np.mean(as_they_are[1:])) ** 2 for one in as_they_are[1:]))
    assert found.value[0] == -1.0
    assert found.high[0] - found.value[0] == pytest.approx(student_t.ppf(0.975, 3) * error)
    opposed, _ = noisy(1, chunks=4, noise=0.1)
    gram = (
        opposed.gram
        * np.where(np.arange(8) < 4, 1, -1)[:, None]
        * np.where(np.arange(8) < 4, 1, -1)
    )
    clear = CosineJackknife(type(opposed)(**{**vars(opposed), "gram": gram})).estimate(
        lambda own: own[:, 0, 1], is_mean=False
    )
    assert clear.high[0] - clear.low[0] < found.high[0] - found.low[0]


@pytest.mark.parametrize("chunks", [1, 2])
def test_fewer_than_three_chunks_have_no_interval(chunks):
    statistics, _ = noisy(1, chunks, noise=0.1)
    jackknife = CosineJackknife(statistics)
    found = jackknife.estimate(lambda cosines: cosines[:, 0, 1])
    assert jackknife.is_debiased == (chunks == 2)
    assert np.isfinite(found.value).all()
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert not found.is_above_zero.any()
    assert not found.is_below_zero.any()


def test_a_zero_gradient_is_undefined_and_leaves_the_others():
    vectors = {"u": {"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 0.0]}}
    statistics = statistics_of(vectors, chunks=4, languages=("a", "b", "c"))
    found = CosineJackknife(statistics).estimate(lambda cosines: cosines[0])
    assert np.isnan(found.value[2]).all()
    assert found.value[0, 1] == pytest.approx(np.sqrt(0.5))
    assert found.high[0, 1] - found.low[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    values = np.random.default_rng(0).normal(size=9)
    found = delete_one_chunk(np.arange(9), lambda kept: values[kept].mean())
    reach = student_t.ppf(0.975, 8) * values.std(ddof=1) / 3
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(reach)
    assert found.value - found.low == pytest.approx(reach)


def test_probes_of_one_chunk_are_left_out_together():
    values = np.random.default_rng(0).normal(size=(5, 2))
    found = delete_one_chunk(np.repeat(np.arange(5), 2), lambda kept: values.ravel()[kept].mean())
    reach = student_t.ppf(0.975, 4) * values.mean(axis=1).std(ddof=1) / 5**0.5
    assert found.high - found.low == pytest.approx(2 * reach)
