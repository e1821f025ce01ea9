"""Differentiating under fairseq's fp16 optimizer, whose fp32 master copies must follow."""

import pytest
import torch

from fairseq_gist.host.optimizer import MASTERS_KEY
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors

HALF = ["--fp16", "--fp16-no-flatten-grads", "--fp16-init-scale=4"]
SPLIT = ["--max-update=8", "--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4"]


@pytest.mark.skipif(
    torch.__version__.startswith("1."),
    reason="torch 1.12 has no half-precision convolution on the CPU, where this has to run",
)
def test_the_next_batch_does_not_notice_the_split(train, tmp_path):
    split = train(tmp_path / "split", *HALF, *SPLIT)
    shared = train(tmp_path / "shared", *HALF, *SPLIT, "--differentiate-by=shared")
    assert not plan_in_state(split.load()["model"]).is_shared
    assert split.steps[:7] == shared.steps[:7]
    assert split.steps[7] != shared.steps[7]


@pytest.mark.parametrize("kind", ["--bf16", "--memory-efficient-bf16"])
def test_bf16_needs_no_tpu(train, tmp_path, kind):
    split = train(tmp_path / "split", kind, *SPLIT)
    shared = train(tmp_path / "shared", kind, *SPLIT, "--differentiate-by=shared")
    state = split.load()["model"]
    assert not plan_in_state(state).is_shared
    assert all(  # saved in fp32, of what fits into bf16
        torch.equal(value, value.bfloat16().float())
        for key, value in state.items()
        if key.endswith("weight")
    )
    assert split.steps[:7] == shared.steps[:7]
    assert split.steps[7] != shared.steps[7]


@pytest.mark.skipif(
    torch.__version__.startswith("1."),
    reason="torch 1.12 has no half-precision convolution on the CPU, where this has to run",
)
@pytest.mark.parametrize("kind", [HALF, ["--bf16"]])
@pytest.mark.parametrize("split", [SPLIT[1:], []], ids=["split", "never split"])
def test_resumed_equals_uninterrupted(train, tmp_path, kind, split):
    """fairseq keeps no fp32 masters: without them the difference is 1e-3 after two updates."""
    whole = train(tmp_path / "whole", *kind, *split, "--max-update=9")
    train(tmp_path / "parted", *kind, *split, "--max-update=7")
    resumed = train(tmp_path / "parted", *kind, *split, "--max-update=9")
    assert resumed.steps == whole.steps[-2:]
    ours, theirs = resumed.load(), whole.load()
    assert_same_tensors(ours["model"], theirs["model"])
    own, other = (one["last_optimizer_state"][MASTERS_KEY] for one in (ours, theirs))
    assert all(torch.equal(a, b) for a, b in zip(own, other))


def test_flat_master_copies_are_refused_on_a_cpu(train, tmp_path):
    with pytest.raises(SystemExit, match="add --fp16-no-flatten-grads"):
        train(tmp_path, "--fp16", *SPLIT)
    assert not list(tmp_path.glob("*.pt"))
