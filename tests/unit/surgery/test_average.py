"""Averaging checkpoints of one plan."""

from __future__ import annotations

import pytest
import torch

from fairseq_gist.errors import CheckpointError
from fairseq_gist.surgery.average import average_states
from fairseq_gist.surgery.plan_buffer import PLAN_KEY, encode_plan, plan_in_state
from fairseq_gist.surgery.state import parameters_in_state
from tests.unit.surgery.test_state import FINER, PAIRS, model_with, trained


def states(*factors):
    """Return checkpoints of one model, its parameters multiplied by the factors."""
    found = []
    for factor in factors:
        model = trained(model_with(fc1=PAIRS, embed=PAIRS)).float()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(factor)
        found.append((f"checkpoint{factor}.pt", model.state_dict()))
    return found


def test_the_mean_of_every_copy_and_the_plan_itself():
    given = states(1.0, 2.0, 6.0)
    average = average_states(given)
    first = given[0][1]
    assert list(average) == list(first)
    for key, tensor in average.items():
        expected = first[key] if key == PLAN_KEY else first[key] * 3.0
        assert tensor.dtype == first[key].dtype
        difference = (tensor - expected).abs().max().item()
        assert difference <= 1e-5, f"{key}: off by {difference}"
    assert plan_in_state(average) == plan_in_state(first)


def test_one_checkpoint_is_its_own_average_and_is_left_alone():
    ((name, state),) = states(1.0)
    before = {key: tensor.clone() for key, tensor in state.items()}
    average = average_states([(name, state)])
    for key, tensor in average.items():
        assert torch.equal(tensor, before[key]), key
        assert torch.equal(state[key], before[key]), f"{key} of the checkpoint changed"


def test_half_precision_is_summed_in_full():
    many = [(str(i), {"w": torch.tensor([1000.0 + i % 2]).half()}) for i in range(200)]
    average = average_states(many)["w"]
    assert average.dtype == torch.half
    assert average.item() == 1000.5


def test_tied_tensors_stay_tied():
    average = average_states(states(1.0, 2.0))
    key = "decoder.{}.copies.1.weight"
    tied = [average[key.format(one)] for one in ("embed_tokens", "output_projection")]
    assert tied[0].data_ptr() == tied[1].data_ptr()
    assert parameters_in_state(average) == parameters_in_state(states(1.0)[0][1])


def test_nothing_is_refused():
    with pytest.raises(CheckpointError, match="no checkpoints to average"):
        average_states([])


def test_checkpoints_of_other_plans_are_refused():
    one = ("a.pt", model_with(fc1=PAIRS).state_dict())
    other = ("b.pt", model_with(fc1=FINER).state_dict())
    shared = ("c.pt", model_with().state_dict())
    plans = [plan_in_state(state).signature for _, state in (one, other)]
    with pytest.raises(CheckpointError, match=f"a.pt follows .*{plans[0]}, b.pt {plans[1]}: check"):
        average_states([one, other])
    with pytest.raises(CheckpointError, match=f"a.pt follows sharing plan {plans[0]}, c.pt none"):
        average_states([one, shared])


def test_plans_of_the_same_shape_are_told_apart():
    (name, state), (other_name, other) = states(1.0, 2.0)
    plan = plan_in_state(other)
    swapped = plan.to_json().replace('["de", "nl"], ["es", "fr"]', '["de", "es"], ["fr", "nl"]')
    other = {**other, PLAN_KEY: encode_plan(type(plan).from_json(swapped))}
    with pytest.raises(
        CheckpointError, match=f"{name} follows .*, {other_name} .* can't be averaged"
    ):
        average_states([(name, state), (other_name, other)])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"w": torch.zeros(2)}, "a and b are of different architectures: only one of them has 'v'"),
        ({"w": torch.zeros(3), "v": torch.zeros(1)}, r"'w' has shape \(2,\) in a and \(3,\) in b"),
        ({"w": torch.zeros(2), "v": torch.zeros(2)}, r"'v' has shape \(1,\) in a and \(2,\) in b"),
    ],
)
def test_other_architectures_are_refused(other, message):
    one = {"w": torch.zeros(2), "v": torch.zeros(1, dtype=torch.long)}
    with pytest.raises(CheckpointError, match=message):
        average_states([("a", one), ("b", other)])
