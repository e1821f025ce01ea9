"""How often a step waits for the device."""

import warnings

import pytest
import torch

from tests.e2e.helpers import build, differentiate_at_random

pytestmark = pytest.mark.gpu


def _waits(action):
    """Return where ``action`` waited for the device: CUDA warns of every synchronising call."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            action()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [
        f"{warning.filename}:{warning.lineno}"
        for warning in caught
        if "synchroniz" in str(warning.message)
    ]


@pytest.mark.parametrize("multiway", [False, True], ids=["plain", "multi-way"])
def test_a_split_model_waits_no_more_than_a_shared_one(data, bring, device, multiway):
    if device.type == "cpu":
        pytest.skip("a rehearsal: nobody waits for a CPU")
    found = {}
    for kind in ("shared", "split"):
        task, model, criterion = build(data, *(["--multiway-batches"] if multiway else []))
        if kind == "split":
            differentiate_at_random(model, task.languages, pattern=r"(en|de)coder\..*layers\..+")
        model.to(device).train()
        sample = bring(task, utterances=3, multiway=multiway)
        criterion(model, sample)[0].backward()
        found[kind] = _waits(lambda: criterion(model, sample)[0].backward())  # noqa: B023
    ours = [place for place in found["split"] if "fairseq_gist" in place]
    print(f"waits: shared {found['shared']}, split {found['split']}")  # noqa: T201
    assert len(found["split"]) <= len(found["shared"])
    assert [place for place in ours if "criterions" not in place] == []
