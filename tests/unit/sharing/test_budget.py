"""Size budgets as people write them."""

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.sharing.budget import parse_budget

SHARED = 76_327_936
"""Parameters of s2t_transformer_m with a dictionary of 10,000."""


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("1", SHARED),
        ("1.0", SHARED),
        ("2", 2 * SHARED),
        ("2.5", 190_819_840),
        ("190.6M", 190_600_000),
        ("190600k", 190_600_000),
        ("0.25G", 250_000_000),
        ("0.25B", 250_000_000),
        ("190600000", 190_600_000),
        (" 156.2M ", 156_200_000),
        ("999", 999 * SHARED),
    ],
)
def test_multiples_and_parameters(text, parameters):
    assert parse_budget(text, SHARED) == parameters


@pytest.mark.parametrize(("text", "parameters"), [("2.3", 230), ("1.1", 110), ("1.15", 115)])
def test_multiples_are_exact(text, parameters):
    assert parse_budget(text, 100) == parameters


def test_a_fraction_of_a_parameter_is_not_bought():
    assert parse_budget("1.5", 5) == 7


@pytest.mark.parametrize("text", ["", "big", "-2", "2.5X", "1e6", "2,5", ".5", "2.", "nan", "1 M"])
def test_other_words_are_refused(text):
    with pytest.raises(OptionError, match=f"--size-budget: expected a multiple .* found '{text}'"):
        parse_budget(text, SHARED)


@pytest.mark.parametrize("text", ["0.9", "0", "76M", "1000"])
def test_nothing_is_smaller_than_the_shared_model(text):
    with pytest.raises(OptionError, match=f"{text} is less than the fully shared .*76,327,936"):
        parse_budget(text, SHARED)
