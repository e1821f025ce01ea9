"""Translating on the device with a split model."""

import pytest
import torch

from tests.e2e.helpers import build, differentiate_at_random, rows_of, translate

pytestmark = pytest.mark.gpu


def test_a_mixed_batch_gives_what_one_language_at_a_time_gives(data, bring, device):
    task, model, _ = build(data)
    differentiate_at_random(model, task.languages)
    model.to(device).eval()
    sample = bring(task, utterances=4)
    mixed = translate(task, model, sample)
    ids = sample["net_input"]["lang_ids"]
    largest = 0.0
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        part = rows_of(sample, rows, task.target_dictionary.pad())
        part["target"][-1, 0] = sample["target"][0, 0]
        for row, alone in zip(rows.tolist(), translate(task, model, part)):
            assert [tokens for tokens, _ in mixed[row]] == [tokens for tokens, _ in alone]
            difference = max(abs(a - b) for (_, a), (_, b) in zip(mixed[row], alone))
            largest = max(largest, difference)
    print(f"scores of mixed against alone differ by {largest}")  # noqa: T201
    assert largest < 1e-4


def test_exporting_gives_the_same_hypotheses(data, bring, device):
    from fairseq_gist.surgery.state import export_state

    task, model, _ = build(data)
    differentiate_at_random(model, task.languages)
    _, stock, _ = build(data)
    language = task.languages[1]
    stock.load_state_dict(export_state(model.state_dict(), language), strict=True)
    model.to(device).eval()
    stock.to(device).eval()
    sample = bring(task, utterances=4)
    rows = (sample["net_input"]["lang_ids"] == 1).nonzero().flatten()
    part = rows_of(sample, rows, task.target_dictionary.pad())
    part["target"][-1, 0] = sample["target"][0, 0]
    ours, theirs = (translate(task, one, part)[: len(rows)] for one in (model, stock))
    assert [[t for t, _ in row] for row in ours] == [[t for t, _ in row] for row in theirs]
    largest = max(
        abs(a - b) for own, other in zip(ours, theirs) for (_, a), (_, b) in zip(own, other)
    )
    print(f"scores of exported against split differ by {largest}")  # noqa: T201
    assert largest < 1e-4
    assert torch.cuda.is_available() == (device.type == "cuda")
