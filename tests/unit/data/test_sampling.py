"""Sampling of languages: shares, exact counts, and the same draw from the same seed and epoch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_gist.data.sampling import (
    EpochSampling,
    epoch_sampling,
    repetitions,
    rows_in_epoch,
    sampling_shares,
    temperature_of,
)
from fairseq_gist.errors import OptionError

counts_of_languages = st.lists(st.integers(0, 3_000_000), min_size=1, max_size=9).filter(any)
temperatures = st.one_of(st.floats(1, 1000), st.just(math.inf))


@st.composite
def rows(draw):
    languages = draw(st.lists(st.integers(0, 3), min_size=1, max_size=60))
    return np.array(languages, dtype=np.int64)


def test_shares_at_a_temperature_of_two_are_those_of_the_roots():
    assert sampling_shares([900, 100, 0], 2).tolist() == [0.75, 0.25, 0.0]


def test_shares_at_infinity_are_equal_among_the_languages_that_are_there():
    assert sampling_shares([900, 0, 1], math.inf).tolist() == [0.5, 0.0, 0.5]


@given(counts_of_languages, temperatures)
def test_a_higher_temperature_moves_shares_towards_each_other(counts, temperature):
    low, high = (sampling_shares(counts, t) for t in (temperature, 2 * temperature))
    there = np.array(counts) > 0
    assert low.sum() == pytest.approx(1)
    assert (low[~there] == 0).all()
    assert (np.diff(low[np.argsort(counts)]) >= 0).all()
    assert low[there].max() >= high[there].max() - 1e-12
    assert low[there].min() <= high[there].min() + 1e-12


@given(counts_of_languages)
def test_a_temperature_of_one_is_the_data_as_they_are(counts):
    assert rows_in_epoch(counts, 1).tolist() == counts
    assert rows_in_epoch(counts, 1, at_most_once=True).tolist() == counts


@given(counts_of_languages, temperatures)
def test_an_epoch_is_as_long_as_the_data(counts, temperature):
    wanted = rows_in_epoch(counts, temperature)
    assert abs(int(wanted.sum()) - sum(counts)) <= len(counts)
    np.testing.assert_allclose(
        wanted, sampling_shares(counts, temperature) * sum(counts), atol=0.5 + 1e-6
    )


@given(counts_of_languages, temperatures)
def test_without_repeating_a_row_the_smallest_language_is_seen_whole(counts, temperature):
    wanted = rows_in_epoch(counts, temperature, at_most_once=True)
    smallest = min(count for count in counts if count)
    assert (wanted <= counts).all()
    assert wanted[counts.index(smallest)] == smallest
    shares = sampling_shares(counts, temperature)
    scale = smallest / shares[counts.index(smallest)]
    np.testing.assert_allclose(wanted, shares * scale, atol=0.5 + 1e-6)
    assert ((wanted > 0) == (np.array(counts) > 0)).all()


@given(rows(), st.lists(st.integers(0, 200), min_size=4, max_size=4), st.integers(0, 9))
def test_rows_of_a_language_are_seen_as_evenly_as_can_be(languages, wanted, seed):
    times = repetitions(languages, wanted, np.random.default_rng(seed).random(len(languages)))
    for language, count in enumerate(wanted):
        seen = times[languages == language]
        if len(seen):
            assert seen.sum() == count
            assert seen.max() - seen.min() <= 1


def test_rows_that_come_first_are_seen_once_more():
    times = repetitions(np.array([0, 0, 0, 1]), [4, 0], np.array([0.3, 0.1, 0.2, 0.0]))
    assert times.tolist() == [1, 2, 1, 0]


LANGUAGES = np.array([0] * 90 + [1] * 10)


def test_the_draw_follows_from_seed_and_epoch_alone():
    once, again, other = (EpochSampling(LANGUAGES, 5, seed) for seed in (1, 1, 2))
    backwards = [again.repetitions(epoch) for epoch in (3, 2, 1)][::-1]
    for epoch in (1, 2, 3):
        assert (once.repetitions(epoch) == backwards[epoch - 1]).all()
        assert (once.repetitions(epoch) != other.repetitions(epoch)).any()
    assert (once.repetitions(1) != once.repetitions(2)).any()


def test_over_many_epochs_every_row_is_seen_alike():
    sampling = EpochSampling(LANGUAGES, 5, seed=1)
    epochs = 400
    seen = sum(sampling.repetitions(epoch) for epoch in range(1, epochs + 1)) / epochs
    expected = (sampling.wanted / sampling.counts)[LANGUAGES]
    assert sampling.copies == math.ceil(expected.max()) == 4
    # the mean of 400 draws that are 0 or 1 has a standard error of at most 0.025
    assert np.abs(seen - expected).max() < 0.125


def test_languages_are_drawn_from_the_same_utterances():
    """Of three languages the two large ones are seen in the same tenth of the utterances."""
    utterances = np.concatenate([np.arange(100), np.arange(100), np.arange(10)])
    languages = np.array([0] * 100 + [1] * 100 + [2] * 10)
    sampling = EpochSampling(languages, math.inf, 1, utterances)
    assert sampling.copies == 1
    kept = sampling.repetitions(7) > 0
    of_language = [set(utterances[kept & (languages == language)]) for language in range(3)]
    assert of_language[2] == set(range(10))
    assert of_language[0] == of_language[1]
    assert len(of_language[0]) == 10
    assert of_language[0] != set(np.flatnonzero(sampling.repetitions(8)[:100]))


def test_what_changes_nothing_is_no_sampling():
    assert epoch_sampling(LANGUAGES, 1, 1) is None
    assert epoch_sampling([0, 1, 2, 0, 1, 2], math.inf, 1) is None
    assert epoch_sampling([1, 1, 1], 5, 1, [0, 1, 2]) is None
    assert epoch_sampling(LANGUAGES, 1.5, 1) is not None


def test_the_summary_names_rows_and_shares():
    summary = EpochSampling(LANGUAGES, math.inf, 1).summary(["de", "ro"])
    assert summary == (
        "de 90 rows, 90.0% -> 50.0% of an epoch, 50 rows; "
        "ro 10 rows, 10.0% -> 50.0% of an epoch, 50 rows"
    )


@pytest.mark.parametrize(
    ("option", "alpha", "temperature"),
    [(None, 1.0, 1), (None, 0.5, 2), (None, 0, math.inf), (3, 0.5, 3), (1, 0.5, 1), (3, "?", 3)],
)
def test_the_option_wins_over_the_data_configuration(option, alpha, temperature):
    assert temperature_of(option, alpha) == temperature


@pytest.mark.parametrize("value", [0.5, 0, -2, math.nan, -math.inf])
def test_a_temperature_below_one_is_refused(value):
    with pytest.raises(OptionError, match=f"--sampling-temperature: .* found {value}"):
        temperature_of(value, 1.0)


@pytest.mark.parametrize("alpha", [1.5, -0.1, "half", None, math.nan])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(OptionError, match=f"the YAML's sampling_alpha: .* found {alpha};"):
        temperature_of(None, alpha)
