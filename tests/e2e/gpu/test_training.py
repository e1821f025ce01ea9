"""Differentiating in every precision that fairseq trains in."""

import re

import numpy as np
import pytest
import torch

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors

pytestmark = pytest.mark.gpu

PRECISIONS = {
    "fp32": [],
    "fp16": ["--fp16", "--fp16-init-scale=4"],
    "fp16-not-flat": ["--fp16", "--fp16-no-flatten-grads", "--fp16-init-scale=4"],
    "memory-efficient-fp16": ["--memory-efficient-fp16", "--fp16-init-scale=4"],
    "bf16": ["--bf16"],
    "memory-efficient-bf16": ["--memory-efficient-bf16"],
    "amp": ["--amp", "--fp16-init-scale=4"],
}
SPLIT = ["--max-update=8", "--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4"]
HALF_A_PERCENT = 5e-3


@pytest.fixture(params=list(PRECISIONS))
def precision(request, device):
    needs_cuda = {"fp16", "memory-efficient-fp16", "bf16", "memory-efficient-bf16", "amp"}
    if device.type == "cpu" and request.param in needs_cuda:
        pytest.skip(f"a rehearsal: {request.param} needs CUDA in fairseq")
    return request.param


def test_the_next_batch_does_not_notice_the_split(train_there, tmp_path, precision):
    options = [*PRECISIONS[precision], *SPLIT]
    path = tmp_path / "statistics.npz"
    split = train_there(tmp_path / "split", *options, f"--save-gradient-statistics={path}")
    shared = train_there(tmp_path / "shared", *options, "--differentiate-by=shared")
    assert not plan_in_state(split.load()["model"]).is_shared
    differences = [
        abs(one.loss - other.loss) / other.loss for one, other in zip(split.steps, shared.steps)
    ]
    print(f"{precision}: loss of split against shared {differences}")  # noqa: T201
    bound = 1e-5 if precision == "fp32" else HALF_A_PERCENT
    assert max(differences[:6]) <= 1e-6, "the same until the split"
    assert differences[6] <= bound
    assert GradientStatistics.load(path).chunks_per_language


def test_resumed_equals_uninterrupted(train_there, tmp_path, precision):
    options = [*PRECISIONS[precision], *SPLIT[1:]]
    whole = train_there(tmp_path / "whole", "--max-update=9", *options)
    train_there(tmp_path / "resumed", "--max-update=7", *options)
    resumed = train_there(tmp_path / "resumed", "--max-update=9", *options)
    assert len(resumed.steps) == 2
    ours, theirs = resumed.load()["model"], whole.load()["model"]
    largest = max(
        float((own.double() - theirs[key].double()).abs().max())
        for key, own in ours.items()
        if torch.is_tensor(own) and own.is_floating_point() and "_float_tensor" not in key
    )
    print(f"{precision}: resumed against uninterrupted {largest}")  # noqa: T201
    assert_same_tensors(ours, theirs)


@pytest.mark.parametrize(
    "precision", ["fp16", "fp16-not-flat", "memory-efficient-fp16", "amp"], indirect=True
)
def test_overflown_steps_are_left_out(train_there, tmp_path, precision, device):
    if device.type == "cpu":
        pytest.skip("a rehearsal: fairseq asks CUDA for its memory when a step overflows")
    path = tmp_path / "statistics.npz"
    options = [
        option for option in PRECISIONS[precision] if not re.match("--fp16-init-scale", option)
    ]
    run = train_there(
        tmp_path, *options, *SPLIT, "--fp16-init-scale=1048576",
        f"--save-gradient-statistics={path}",
    )  # fmt: skip
    dropped = len(run.steps) - 8
    statistics = GradientStatistics.load(path)
    print(f"{precision}: {dropped} steps overflowed")  # noqa: T201
    assert dropped > 0
    assert torch.isfinite(torch.as_tensor(statistics.gram)).all()
    assert set(statistics.chunks_per_language.values()) <= {3, 4}


@pytest.mark.parametrize("kept_on", ["model", "cpu"])
def test_where_gradients_are_gathered_changes_nothing(train_there, tmp_path, device, kept_on):
    own, of_cpu = (tmp_path / "own.npz", tmp_path / "cpu.npz")
    options = [*SPLIT, "--differentiate-by=shared", "--dropout=0", f"--statistics-device={kept_on}"]
    train_there(tmp_path / "own", *options, f"--save-gradient-statistics={own}")
    train_there(tmp_path / "cpu", *options, "--cpu", f"--save-gradient-statistics={of_cpu}")
    cosines = [GradientStatistics.load(path).cosines(debiased=False) for path in (own, of_cpu)]
    difference = float(np.nanmax(abs(cosines[0] - cosines[1])))
    print(f"{device.type}, kept on {kept_on}: cosines differ from the CPU's by {difference}")  # noqa: T201
    assert difference < 1e-2
