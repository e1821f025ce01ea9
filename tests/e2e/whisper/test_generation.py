"""Greedy and beam search under fairseq and in transformers alone."""

import sys

import pytest
import torch

from tests.e2e.helpers import batch_of
from tests.e2e.whisper.helpers import (
    NEW_TOKENS,
    PREFIX_SIZE,
    all_by_transformers,
    build_whisper,
    by_fairseq,
    by_transformers,
    compare,
    decoder_input,
    window_of,
)

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

UNNORMALISED = {"length_penalty": 0.0, "early_stopping": True}


@pytest.fixture(scope="module")
def parts(whisper_data, model_options):
    task, model, _ = build_whisper(whisper_data, "--whisper-window=full", model=model_options)
    sample = batch_of(task, 12)
    names = [task.languages[one] for one in sample["net_input"]["lang_ids"]]
    return task.target_dictionary, model.eval(), sample, names


@pytest.fixture(scope="module")
def theirs(folder):
    from transformers import WhisperForConditionalGeneration

    return WhisperForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)


def test_greedy_hypotheses_are_the_same(parts, theirs):
    dictionary, model, sample, names = parts
    found = [row[0] for row in by_fairseq(model, dictionary, sample, 1)]
    assert found == by_transformers(theirs.eval(), window_of(sample, 100), names, 1)
    assert len({str(row) for row in found}) > 1


def test_all_hypotheses_of_beam_search_are_the_same(parts, theirs):
    """By the sum of log-probabilities; where these are divided by lengths, see the docs."""
    dictionary, model, sample, _ = parts
    found = by_fairseq(model, dictionary, sample, 5, normalize_scores=False)
    prompts = decoder_input(sample, theirs.config.decoder_start_token_id)[:, : PREFIX_SIZE + 1]
    features = window_of(sample, 100)
    expected = all_by_transformers(theirs.eval(), features, prompts, 5, **UNNORMALISED)
    compared = compare(found, expected)
    print(f"{compared} of {len(found)} rows have no hypothesis at the limit")  # noqa: T201
    assert compared >= 6


def test_the_best_hypothesis_of_beam_search_is_that_of_whispers_generate(parts, theirs):
    dictionary, model, sample, names = parts
    found = [row[0] for row in by_fairseq(model, dictionary, sample, 5, normalize_scores=False)]
    features = window_of(sample, 100)
    expected = by_transformers(theirs.eval(), features, names, 5, **UNNORMALISED)
    ended = [row for row, own in enumerate(found) if len(own) < NEW_TOKENS]
    assert [found[row] for row in ended] == [expected[row] for row in ended]
    assert len(ended) >= 6


def test_search_takes_no_symbol_that_the_folder_suppresses(parts, theirs):
    dictionary, model, sample, _ = parts
    settings = theirs.generation_config
    first = set(settings.begin_suppress_tokens)
    hypotheses = [one for row in by_fairseq(model, dictionary, sample, 5) for one in row]
    assert not set(settings.suppress_tokens) & {token for one in hypotheses for token in one}
    assert not first & {one[0] for one in hypotheses}
    decoder, nothing = model.decoder, torch.zeros(0, dtype=torch.long)
    kept = decoder.suppressed, decoder.suppressed_first
    decoder.suppressed = decoder.suppressed_first = nothing
    try:
        free = [one for row in by_fairseq(model, dictionary, sample, 5) for one in row]
    finally:
        decoder.suppressed, decoder.suppressed_first = kept
    assert free != hypotheses
