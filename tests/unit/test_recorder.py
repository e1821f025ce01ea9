"""The recorder: chunks, normalisation per token, overflow, checkpoints."""

import pytest
import torch
from torch import nn

from fairseq_gist.errors import StatisticsError
from fairseq_gist.surgery.units import find_units
from fairseq_gist.training.recorder import GradientRecorder

LANGUAGES = ["de", "es"]


@pytest.fixture
def recorder():
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    return GradientRecorder(model, find_units(model), LANGUAGES, chunks=2, updates_per_chunk=2)


def _update(recorder, gradients, tokens, scale=1.0):
    for language, value in enumerate(gradients):
        recorder.add("0", "weight", language, torch.full((2, 3), float(value) * scale))
        recorder.add("0", "bias", language, torch.zeros(2))
    recorder.count_tokens(torch.tensor(tokens, dtype=torch.float64))
    recorder.finish_update(scale)


def test_updates_are_dealt_out_in_turn_and_divided_by_tokens(recorder):
    updates = [((1, 2), (1, 1)), ((10, 20), (2, 5)), ((3, 4), (1, 3)), ((30, 40), (2, 5))]
    for gradients, tokens in updates:
        assert not recorder.is_complete
        _update(recorder, gradients, tokens)
    assert recorder.is_complete
    statistics = recorder.statistics(100)
    # chunk 0: de (1 + 3) / 2, es (2 + 4) / 4; chunk 1: de 40 / 4, es 60 / 10; six weights each
    means = [2.0, 1.5, 10.0, 6.0]
    expected = torch.tensor([[6 * a * b for b in means] for a in means], dtype=torch.float64)
    found = torch.from_numpy(statistics.gram[0])
    assert torch.allclose(found, expected, rtol=1e-6), f"{found} instead of {expected}"
    assert statistics.probe_tokens.tolist() == [2.0, 4.0, 4.0, 10.0]
    assert statistics.unit_parameters.tolist() == [8, 4]


def test_the_loss_scale_is_removed(recorder):
    _update(recorder, (1, 2), (1, 1), scale=64.0)
    _update(recorder, (1, 2), (1, 1))
    gram = recorder.statistics(100).gram[0]
    assert gram[0, 0] == pytest.approx(gram[2, 2])


def test_a_dropped_update_leaves_no_trace(recorder):
    recorder.add("0", "weight", 0, torch.full((2, 3), float("inf")))
    recorder.count_tokens(torch.tensor([5.0, 5.0]))
    recorder.discard_update()
    _update(recorder, (1, 2), (1, 1))
    _update(recorder, (1, 2), (1, 1))
    statistics = recorder.statistics(100)
    assert statistics.probe_tokens.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert statistics.gram[0, 0, 0] == pytest.approx(6.0)


def test_a_language_absent_from_a_chunk_has_no_probe_there(recorder):
    _update(recorder, (1,), (1, 0))
    _update(recorder, (1, 2), (1, 1))
    statistics = recorder.statistics(100)
    assert statistics.chunks_per_language == {"de": 2, "es": 1}


def test_too_little_is_refused(recorder):
    _update(recorder, (1, 2), (1, 1))
    with pytest.raises(StatisticsError, match="recorded in 1 updates, which don't fill 2 chunks"):
        recorder.statistics(100)


def test_going_on_from_a_checkpoint(recorder):
    _update(recorder, (1, 2), (1, 1))
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    other = GradientRecorder(model, find_units(model), LANGUAGES, chunks=2, updates_per_chunk=2)
    state = recorder.state_dict()
    other.load_state_dict(state)
    for each in (recorder, other):
        _update(each, (5, 7), (2, 3))
    assert (recorder.statistics(9).gram == other.statistics(9).gram).all()
