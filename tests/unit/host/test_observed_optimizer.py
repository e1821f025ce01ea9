"""An optimizer that reports its steps is still the optimizer it was."""

from argparse import Namespace

import pytest
import torch
from fairseq.optim import FairseqOptimizer
from fairseq.optim.adam import FairseqAdam
from omegaconf import OmegaConf

from fairseq_gist.host.optimizer import STATE_KEY, observe, step_was_taken


class Observer:
    """Notes what it is told."""

    def __init__(self):
        self.events = []
        self.state = None

    def update_finished(self, loss_scale):
        self.events.append(("finished", loss_scale))

    def update_dropped(self):
        self.events.append("dropped")

    def recording_state(self):
        return self.state

    def load_recording_state(self, state):
        self.events.append(("loaded", state))


@pytest.fixture
def adam():
    parameter = torch.nn.Parameter(torch.ones(3))
    cfg = OmegaConf.create(
        {"lr": [0.1], "adam_betas": "(0.9, 0.98)", "adam_eps": 1e-8, "weight_decay": 0.0,
         "use_old_adam": False, "fp16_adam_stats": False, "tpu": False}
    )  # fmt: skip
    return FairseqAdam(cfg, [parameter]), parameter


def _step(optimizer, parameter, factor=1.0):
    optimizer.zero_grad()
    optimizer.backward((parameter * factor).sum())
    optimizer.clip_grad_norm(0.0)
    optimizer.step()


def test_class_name_and_kind_stay(adam):
    optimizer, _ = adam
    observe(optimizer, Observer())
    assert type(optimizer).__name__ == "FairseqAdam"
    assert isinstance(optimizer, FairseqAdam)
    assert isinstance(optimizer, FairseqOptimizer)
    observe(optimizer, Observer())
    assert type(optimizer).__mro__.count(FairseqAdam) == 1


def test_a_step_is_reported_and_an_overflow_is_not_counted(adam):
    optimizer, parameter = adam
    observer = Observer()
    observe(optimizer, observer)
    _step(optimizer, parameter)
    assert observer.events == ["dropped", ("finished", 1.0)]
    assert step_was_taken(optimizer)
    observer.events.clear()
    _step(optimizer, parameter, factor=float("inf"))
    assert observer.events == ["dropped", "dropped"]
    assert not step_was_taken(optimizer)


def test_steps_are_those_of_the_plain_optimizer(adam):
    optimizer, parameter = adam
    observe(optimizer, Observer())
    plain = torch.nn.Parameter(torch.ones(3))
    other = FairseqAdam(optimizer.cfg, [plain])
    for _ in range(3):
        _step(optimizer, parameter)
        _step(other, plain)
    assert torch.equal(parameter, plain)


def test_what_was_recorded_travels_with_the_state(adam):
    optimizer, parameter = adam
    _step(optimizer, parameter)
    observer = Observer()
    observe(optimizer, observer)
    assert STATE_KEY not in optimizer.state_dict()
    observer.state = {"updates": 3}
    state = optimizer.state_dict()
    assert state[STATE_KEY] == {"updates": 3}
    plain = FairseqAdam(optimizer.cfg, [torch.nn.Parameter(torch.ones(3))])
    plain.load_state_dict(state)
    observe(plain, observer)
    observer.events.clear()
    plain.load_state_dict(state)
    assert observer.events == [("loaded", {"updates": 3})]


def test_the_loss_scale_is_told(adam):
    optimizer, parameter = adam
    optimizer.scaler = Namespace(loss_scale=8.0)
    observer = Observer()
    observe(optimizer, observer)
    _step(optimizer, parameter)
    assert observer.events[-1] == ("finished", 8.0)
