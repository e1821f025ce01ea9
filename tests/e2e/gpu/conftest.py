"""The device that the tests of this folder run on."""

import os

import pytest
import torch
from fairseq import utils

from fairseq_gist.data.known_rows import tell_rows
from tests.e2e.helpers import batch_of

DRY_RUN = "GIST_GPU_TESTS_ON"
"""Set to ``cpu``, the tests run there as far as that can: a rehearsal, which says nothing."""


@pytest.fixture(scope="session")
def device():
    """A CUDA device, deterministic and without TF32."""
    wanted = os.environ.get(DRY_RUN, "cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        pytest.fail("these tests are of a CUDA device, and there is none")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    yield torch.device(wanted)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="session")
def train_there(train, device):
    """Train on the device: like ``train`` otherwise."""

    def run(folder, *extra, **changes):
        drop = [*changes.pop("drop", ()), *(["--cpu"] if device.type == "cuda" else [])]
        return train(folder, *extra, drop=drop, **changes)

    return run


@pytest.fixture(scope="session")
def bring(device):
    """Bring a batch to the device as fairseq does, its rows known."""

    def bring_batch(task, utterances, multiway=False):
        sample = batch_of(task, utterances, multiway=multiway)
        if device.type == "cuda":
            sample = utils.move_to_cuda(sample)
        tell_rows(sample)
        return sample

    return bring_batch
