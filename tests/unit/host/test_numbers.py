"""A model's values are numbers, all but what fairseq leaves unset."""

import pytest
import torch

from fairseq_gist.errors import CheckpointError
from fairseq_gist.host.checkpoints import check_numbers


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_memory_that_fairseq_left_as_it_was_is_no_divergence(value):
    unset = {"decoder.embed_positions._float_tensor": torch.tensor([value])}
    check_numbers(unset, "model.pt")
    with pytest.raises(CheckpointError, match="model.pt: 'decoder.layers.0.fc1.bias' has values"):
        check_numbers({**unset, "decoder.layers.0.fc1.bias": torch.tensor([value])}, "model.pt")
