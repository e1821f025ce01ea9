"""Greedy and beam search under fairseq and in transformers alone."""

import sys

import pytest

from tests.e2e.helpers import batch_of, build
from tests.e2e.seamless.generating import by_fairseq, by_transformers, compare

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

UNNORMALISED = {"length_penalty": 0.0, "early_stopping": True}


@pytest.fixture(scope="module")
def parts(seamless_data, model_options):
    task, model, _ = build(seamless_data, "--language-key=src", model=model_options)
    return task.target_dictionary, model.eval(), batch_of(task, 12)


def test_greedy_hypotheses_are_the_same(parts, folder):
    dictionary, model, sample = parts
    found = by_fairseq(model, dictionary, sample, 1)
    assert found == by_transformers(folder, sample, 1)
    assert len({str(row) for row in found}) > 1


def test_all_hypotheses_of_beam_search_are_the_same(parts, folder):
    """By the sum of log-probabilities; where these are divided by lengths, see the docs."""
    dictionary, model, sample = parts
    found = by_fairseq(model, dictionary, sample, 5, normalize_scores=False)
    compared = compare(found, by_transformers(folder, sample, 5, **UNNORMALISED))
    print(f"{compared} of {len(found)} rows have no hypothesis at the limit")  # noqa: T201
    assert compared >= 6
