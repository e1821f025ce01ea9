"""Inner products in other metrics, against the optimizer's own mean squares."""

import pytest
import torch
from torch import nn

from fairseq_gist.errors import OptionError
from fairseq_gist.recording.metric import metric_weights
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.surgery.units import find_units


@pytest.fixture
def trained():
    """A model after some steps of Adam, and the optimizer's state."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).pow(3).sum().backward()
        optimizer.step()
    return model, optimizer.state_dict()


def _squares(state, *indices):
    return torch.cat([state["state"][i]["exp_avg_sq"].flatten() for i in indices]).double()


@pytest.mark.parametrize(("metric", "weight"), [
    ("adam", lambda v: (v + 1e-3 * v.mean()) ** -0.5),
    ("fisher", lambda v: v),
    ("inverse-fisher", lambda v: 1 / (v + 1e-3 * v.mean())),
])  # fmt: skip
def test_products_are_weighted_by_mean_squares(trained, metric, weight):
    model, state = trained
    units = find_units(model)
    weights = metric_weights(metric, model, units, state)
    recorder = GradientRecorder(
        model, units, ["de", "es"], RecordingOptions(gradient_chunks=2), weights=weights
    )
    gradients = torch.randn(2, 2, 2, 3), torch.randn(2, 2, 2)  # [chunks, languages, ...]
    for rows, biases in zip(*gradients):
        recorder.add("0", "weight", [0, 1], rows)
        recorder.add("0", "bias", [0, 1], biases)
        recorder.count_tokens(torch.ones(2, dtype=torch.float64))
        recorder.finish_update()
    probes = torch.cat([part.reshape(4, -1) for part in gradients], dim=1).double()
    expected = (probes * weight(_squares(state, 0, 1))) @ probes.t()
    found = torch.from_numpy(recorder.statistics(100).gram[0])
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    assert difference < 1e-6


def test_parameters_without_a_gradient_are_left_out():
    """As in fairseq 0.12.2, whose encoder layers keep some that nothing reads."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.LayerNorm(3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model[2](model[0](torch.randn(4, 3))).pow(3).sum().backward()
    optimizer.step()
    state, units = optimizer.state_dict(), find_units(model)
    trained = {name: unit for name, unit in units.items() if name != "1"}
    weights = metric_weights("fisher", model, trained, state)
    squares = [state["state"][index]["exp_avg_sq"].flatten() for index in (4, 5)]
    assert torch.equal(weights["2"], torch.cat(squares).double().sqrt().float())
    with pytest.raises(OptionError, match="--metric: '1' has had no gradient"):
        metric_weights("fisher", model, units, state)


def test_a_state_of_fewer_parameters(trained):
    model, state = trained
    model[1].weight.requires_grad_(False)
    with pytest.raises(OptionError, match="for the model's 3 parameters, found one for 4"):
        metric_weights("adam", model, find_units(model), state)


def test_plain_needs_no_optimizer(trained):
    assert metric_weights("plain", trained[0], find_units(trained[0]), None) == {}


@pytest.mark.parametrize("change", [
    lambda state: None,
    lambda state: {"state": {}},
    lambda state: {"state": {0: {"momentum_buffer": torch.ones(2, 3)}}},
])  # fmt: skip
def test_a_state_that_is_not_of_adam(trained, change):
    model, state = trained
    with pytest.raises(OptionError, match="--metric: expected a checkpoint with the state of Adam"):
        metric_weights("adam", model, find_units(model), change(state))


def test_the_state_of_another_model(trained):
    _model, state = trained
    other = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    with pytest.raises(OptionError, match="other shapes"):
        metric_weights("adam", other, find_units(other), state)


def test_sketches_are_of_whole_gradients_only(trained):
    model, state = trained
    weights = metric_weights("adam", model, find_units(model), state)
    options = RecordingOptions(gradient_chunks=2, sketch_dim=64)
    with pytest.raises(OptionError, match="another metric is for whole gradients"):
        GradientRecorder(model, find_units(model), ["de"], options, weights=weights)
