"""Gradients per language on the device, against splitting the batch by language."""

import pytest
import torch

from fairseq_gist.surgery.apply import apply_plan
from tests.e2e.helpers import build, random_plan
from tests.e2e.test_gradients import compare_with_oracle

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("split", [False, True], ids=["shared", "split at random"])
@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16 under autocast"])
def test_recorded_gradients_equal_those_of_the_split_batch(data, bring, device, split, kind):
    if device.type == "cpu" and "autocast" in kind:
        pytest.skip("a rehearsal: float16 autocast needs CUDA")
    task, model, criterion = build(data)
    model.eval()
    if split:
        apply_plan(model, random_plan(model, task.languages), model.routing)
    model.to(device)
    sample = bring(task, utterances=4)
    if kind == "bf16":
        model.bfloat16()
        own = sample["net_input"]
        own["src_tokens"] = own["src_tokens"].bfloat16()
    with torch.autocast(device.type, torch.float16, enabled="autocast" in kind):
        worst = compare_with_oracle(task, model, criterion, sample, r"(en|de)coder\..*")
    print(f"{kind}: largest relative difference {worst}")  # noqa: T201
    assert worst < {"fp32": 1e-5, "bf16": 0.1}.get(kind, 0.05)
