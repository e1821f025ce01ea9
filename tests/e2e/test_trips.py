"""A step in training reads nothing back from the device of its batch, as far as it is up to us."""

import sys

import pytest
import torch

from fairseq_gist.data.known_rows import KNOWN_ROWS
from fairseq_gist.nn.rows import remember
from tests.e2e.helpers import batch_of, build, differentiate_at_random


@pytest.mark.parametrize("multiway", [False, True])
def test_no_number_is_read_in_a_step(data, monkeypatch, multiway):
    task, model, criterion = build(data, *(["--multiway-batches"] if multiway else []))
    differentiate_at_random(model, task.languages, pattern=r"(en|de)coder\..*layers\..+")
    sample = batch_of(task, utterances=3, multiway=multiway)
    known, own = sample[KNOWN_ROWS], sample["net_input"]
    assert known.lang_ids == own["lang_ids"].tolist()
    assert known.tags == own["prev_output_tokens"][:, 1].tolist()
    remember(own["lang_ids"], known.lang_ids)  # as on a GPU
    remember(own["prev_output_tokens"], known.tags)
    if multiway:
        assert known.utterances == own["utterances"].tolist()
        remember(own["utterances"], known.utterances)
    reads = []

    def watched(name):
        plain = getattr(torch.Tensor, name)

        def read(tensor, *args):
            caller = sys._getframe(1).f_code.co_filename
            if "fairseq_gist" in caller and "criterions" not in caller:
                reads.append(caller)
            return plain(tensor, *args)

        return read

    for name in ("tolist", "item", "cpu", "numpy", "__bool__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, watched(name))
    criterion(model, sample)[0].backward()
    assert reads == []
