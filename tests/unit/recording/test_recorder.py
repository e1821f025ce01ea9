"""The recorder: chunks, normalisation per token, overflow, checkpoints, sketches."""

import copy

import pytest
import torch
from torch import nn

from fairseq_gist.errors import StatisticsError
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder, is_whole
from fairseq_gist.surgery.units import find_units

LANGUAGES = ["de", "es"]


def _recorder(is_scaled=False, reduce=None, **options):
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    kept = RecordingOptions(gradient_chunks=2, **options)
    return GradientRecorder(
        model, find_units(model), LANGUAGES, kept, 2, is_scaled=is_scaled, reduce=reduce
    )


@pytest.fixture(params=[False, True], ids=["straight", "buffered"])
def recorder(request):
    return _recorder(is_scaled=request.param)


@pytest.fixture
def straight():
    return _recorder()


@pytest.fixture
def buffered():
    return _recorder(is_scaled=True)


def _update(recorder, gradients, tokens, scale=1.0):
    for language, value in enumerate(gradients):
        recorder.add("0", "weight", [language], torch.full((2, 3), float(value) * scale)[None])
        recorder.add("0", "bias", [language], torch.zeros(2)[None])
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


def test_the_loss_scale_is_removed(buffered):
    _update(buffered, (1, 2), (1, 1), scale=64.0)
    _update(buffered, (1, 2), (1, 1))
    gram = buffered.statistics(100).gram[0]
    assert gram[0, 0] == pytest.approx(gram[2, 2])


def test_an_unexpected_loss_scale_is_refused(straight):
    with pytest.raises(ValueError, match=r"a loss scale of 64.0, but the recorder expects none"):
        _update(straight, (1, 2), (1, 1), scale=64.0)


def test_several_passes_make_one_update(recorder):
    for value in (1, 2):
        recorder.add("0", "weight", [0], torch.full((2, 3), float(value))[None])
        recorder.count_tokens(torch.tensor([1.0, 0.0]))
    recorder.finish_update()
    _update(recorder, (1, 2), (1, 1))
    statistics = recorder.statistics(100)
    assert statistics.probe_tokens.tolist() == [2.0, 1.0, 1.0]
    assert statistics.gram[0, 0, 0] == pytest.approx(6 * 1.5**2)


def test_a_dropped_update_leaves_no_trace(recorder):
    recorder.add("0", "weight", [0], torch.full((2, 3), float("inf"))[None])
    recorder.count_tokens(torch.tensor([5.0, 5.0]))
    recorder.discard_update()
    _update(recorder, (1, 2), (1, 1))
    _update(recorder, (1, 2), (1, 1))
    statistics = recorder.statistics(100)
    assert statistics.probe_tokens.tolist() == [1.0, 1.0, 1.0, 1.0]
    assert statistics.gram[0, 0, 0] == pytest.approx(6.0)


def _drop_the_third(recorder):
    for _ in range(2):
        _update(recorder, (1, 2), (1, 1))
        recorder.discard_update()  # as an optimizer tells before every update: nothing to forget
    recorder.add("0", "weight", [0], torch.full((2, 3), float("inf"))[None])
    recorder.count_tokens(torch.tensor([5.0, 5.0]))
    recorder.discard_update()


def test_a_buffered_update_that_is_dropped_takes_no_other_with_it(buffered):
    _drop_the_third(buffered)
    assert buffered.statistics(100).probe_chunks.tolist() == [0, 0, 1, 1]


def test_without_a_buffer_the_chunk_begins_anew(straight):
    _drop_the_third(straight)
    assert straight.statistics(100).probe_chunks.tolist() == [1, 1]
    _update(straight, (3, 4), (1, 2))
    statistics = straight.statistics(100)
    assert statistics.probe_tokens.tolist() == [1.0, 2.0, 1.0, 1.0]
    assert statistics.gram[0, 0].tolist() == pytest.approx([54.0, 36.0, 18.0, 36.0])


def test_an_unfinished_update_is_not_saved(recorder):
    _update(recorder, (1, 2), (1, 1))
    recorder.add("0", "weight", [0], torch.full((2, 3), float("nan"))[None])
    recorder.count_tokens(torch.tensor([5.0, 5.0]))
    state = recorder.state_dict()
    assert state["updates"] == 1
    assert state["tokens"].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert all(held.isfinite().all() for sums in state["sums"] for held in sums.values())


def test_a_language_absent_from_a_chunk_has_no_probe_there(recorder):
    _update(recorder, (1,), (1, 0))
    _update(recorder, (1, 2), (1, 1))
    statistics = recorder.statistics(100)
    assert statistics.chunks_per_language == {"de": 2, "es": 1}


def test_too_little_is_refused(recorder):
    _update(recorder, (1, 2), (1, 1))
    with pytest.raises(StatisticsError, match="recorded in 1 updates, which don't fill 2 chunks"):
        recorder.statistics(100)


@pytest.mark.parametrize("sketch_dim", [0, 4])
def test_going_on_from_a_checkpoint(sketch_dim):
    recorder, other = (_recorder(sketch_dim=sketch_dim) for _ in range(2))
    _update(recorder, (1, 2), (1, 1))
    other.load_state_dict(copy.deepcopy(recorder.state_dict()))
    for _ in range(2):
        for each in (recorder, other):
            _update(each, (5, 7), (2, 3))
    assert (recorder.statistics(9).gram == other.statistics(9).gram).all()


def test_processes_are_summed(recorder):
    twin = _recorder(reduce=lambda tensor: tensor.mul_(2))
    for gradients in ((1, 2), (5, 7)):
        _update(twin, gradients, (2, 3))
        _update(recorder, gradients, (2, 3))
    twin.gather()
    both, one = twin.statistics(9), recorder.statistics(9)
    assert both.probe_tokens.tolist() == [4.0, 6.0, 4.0, 6.0]
    assert (both.gram == one.gram).all()
    twin.forget()
    assert not twin.state_dict()["tokens"].any()


def _two_updates(recorder, gradients):
    for update in gradients:
        for language, gradient in enumerate(update):
            recorder.add("0", "weight", [language], gradient[:-1][None])
            recorder.add("0", "bias", [language], gradient[-1][None])
            recorder.add("1", "weight", [language], gradient[0][None])
        recorder.count_tokens(torch.tensor([2.0, 3.0]))
        recorder.finish_update()
    return recorder.statistics(100, {"update": 7})


@pytest.mark.parametrize("is_scaled", [False, True], ids=["straight", "buffered"])
def test_sketches_stand_for_gradients(is_scaled):
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64))
    gradients = torch.randn(2, 2, 65, 64, generator=torch.Generator().manual_seed(5))
    gradients = gradients + gradients[:, :1]
    exact, sketched = (
        _two_updates(
            GradientRecorder(
                model, find_units(model), LANGUAGES, RecordingOptions(2, dim), is_scaled=is_scaled
            ),
            gradients,
        )
        for dim in (0, 500)
    )
    assert exact.provenance == {"update": 7}
    assert sketched.provenance == {"update": 7, "sketch_dim": 500}
    assert sketched.unit_parameters.tolist() == [65 * 64, 128]
    assert (sketched.gram[1] == exact.gram[1]).all()
    norms = exact.gram[0].diagonal() ** 0.5
    error = abs(sketched.gram[0] - exact.gram[0]) / norms[:, None] / norms
    assert 0 < error.max() < 4 * (2 / 503) ** 0.5


def test_memory_is_told():
    assert _recorder().memory == {"cpu": 2 * 2 * 12 * 4}
    assert _recorder(is_scaled=True).memory == {"cpu": 3 * 2 * 12 * 4}
    assert _recorder(sketch_dim=5).memory == {"cpu": 2 * 2 * (5 + 4) * 4}
    assert str(_recorder(statistics_device="model")) == "2 units, 0.2 kB on cpu"
    assert str(_model_of_many()) == "1 units, 1.1 GB on cpu"


def _model_of_many():
    model = nn.Sequential(nn.Linear(1023, 1024))
    return GradientRecorder(model, find_units(model), range(16), RecordingOptions(16))


def test_a_damaged_state_is_told_from_a_whole_one(straight):
    _update(straight, (1, 2), (1, 1))
    state = straight.state_dict()
    assert is_whole(state, len(LANGUAGES))
    for damaged in (
        None, 7, [state], {}, {**state, "chunks": 0}, {**state, "chunks": 3},
        {**state, "updates": True}, {**state, "updates_per_chunk": "2"}, {**state, "sums": None},
        {**state, "sums": [{}]}, {**state, "sums": [[], []]}, {**state, "sums": [{"0": 1.0}, {}]},
        {**state, "sums": [{"0": torch.zeros(3, 8)}, {}]}, {**state, "tokens": torch.zeros(2)},
        {key: value for key, value in state.items() if key != "tokens"},
    ):  # fmt: skip
        assert not is_whole(damaged, len(LANGUAGES)), damaged
