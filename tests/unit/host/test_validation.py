"""The mean over validation subsets, where some have no value."""

import math

import pytest

from fairseq_gist.host.validation import average_of_subsets

NAMES = ["dev_de", "dev_ro", "dev_ru"]


def test_every_subset_counts_alike():
    assert average_of_subsets([3.0, 4.0, 8.0], NAMES, maximize=False) == 5.0


def test_a_subset_without_a_value_is_left_out(caplog):
    assert average_of_subsets([3.0, None, 8.0], NAMES, maximize=False) == 5.5
    assert "'dev_ro' has no value and is left out" in caplog.text


def test_nothing_measured_is_nothing():
    assert average_of_subsets([None, None], NAMES[:2], maximize=False) is None


@pytest.mark.parametrize(("maximize", "worst"), [(False, math.inf), (True, -math.inf)])
def test_a_value_that_is_no_number_is_the_worst(maximize, worst, caplog):
    assert average_of_subsets([3.0, math.nan, 1.0], NAMES, maximize) == worst
    assert "'dev_ro' has no number (nan)" in caplog.text
