"""A checkpoint holds every parameter once, however the model is split."""

import logging

import pytest

pytest.importorskip("fairseq")

from benchmarks import setting
from benchmarks.checkpoints import save
from fairseq_gist.architectures import recognise
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.surgery.plan_buffer import PLAN_KEY
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters

SMALL = ("--encoder-layers=1", "--decoder-layers=2", "--conv-channels=64")


@pytest.fixture(autouse=True)
def _log_again():
    yield
    logging.disable(logging.NOTSET)  # benchmarks silence it


def small_model(groups):
    gist = setting.build(True, *SMALL, arch="s2t_transformer_xs")
    if groups > 1:
        setting.split(gist, groups)
    return gist.model


def beside_parameters(state):
    """Bytes of the plan, and of what fairseq 0.12.2 keeps of its encoder a second time."""
    own = recognise(state)
    return sum(
        tensor.numel() * tensor.element_size()
        for key, tensor in state.items()
        if key == PLAN_KEY or own.is_unused(key)
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_checkpoint_holds_every_parameter_once(tmp_path, groups):
    model = small_model(groups)
    size = save(model, tmp_path / "checkpoint.pt")
    state = read_checkpoint(str(tmp_path / "checkpoint.pt"))["model"]
    parameters = count_parameters(model)
    assert parameters_in_state(state) == parameters
    ratio = (size - beside_parameters(state)) / (4 * parameters)
    assert 1.0 <= ratio <= 1.05, f"{ratio} of the parameters' size"


def test_each_further_copy_takes_as_much(tmp_path):
    sizes = [save(small_model(groups), tmp_path / "checkpoint.pt") for groups in (1, 2, 3)]
    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.05)
