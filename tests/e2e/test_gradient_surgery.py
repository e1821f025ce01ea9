"""Training with gradients that are put together by a rule."""

import re

import numpy as np
import pytest
import torch

from fairseq_gist.combining.rules import Rule, all_rules
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units
from fairseq_gist.training.gradient_surgery import GradientSurgery
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, random_plan, rows_of


def backward(model, criterion, sample):
    model.zero_grad()
    criterion(model, sample)[0].backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("split", [False, True], ids=["shared", "split"])
def test_the_gradient_is_the_sum_with_the_weights_of_the_rule(data, split):
    """Against a backward pass for each language, weighted as the rule says."""
    task, model, criterion = build(data)
    model.eval()
    if split:
        apply_plan(model, random_plan(model, task.languages), model.routing)
    sample = batch_of(task, utterances=4)
    each = []
    for language in range(len(task.languages)):
        rows = (sample["net_input"]["lang_ids"] == language).nonzero().flatten()
        part = rows_of(sample, rows, task.target_dictionary.pad())
        each.append(backward(model, criterion, part))

    class Fixed(Rule):
        """Any weights: which a rule finds is tested by itself."""

        name = summary = "fixed"

        def weights(self, gram, present, draw):
            self.gram = gram
            return np.linspace(0.2, 1.9, len(gram))

    surgery = GradientSurgery("pcgrad", model.routing, seed=1)
    surgery.rule = Fixed(len(task.languages))
    with surgery.of_batch(model, update_num=5, is_dummy=False):
        backward(model, criterion, sample)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    names = [n for n in found if n.partition(".copies.")[0].rpartition(".")[0] in find_units(model)
             or ".copies." in n]  # fmt: skip
    flat = torch.stack([
        torch.cat([own.get(n, torch.zeros_like(found[n])).flatten() for n in names]) for own in each
    ])  # fmt: skip
    gram = (flat.double() @ flat.double().t()).numpy()
    error = abs(surgery.rule.gram - gram).max() / abs(gram).max()
    assert error < 1e-5, f"inner products differ by {error}"
    expected = torch.linspace(0.2, 1.9, len(flat)) @ flat
    own = torch.cat([found[n].flatten() for n in names])
    error = ((own - expected).norm() / expected.norm()).item()
    assert error < 1e-5, f"relative difference {error}"


@pytest.mark.parametrize("rule", all_rules())
def test_it_trains_and_resumes(train, tmp_path, rule):
    options = [f"--gradient-surgery={rule}"]
    whole = train(tmp_path / "whole", "--max-update=5", *options)
    train(tmp_path / "parts", "--max-update=3", *options)
    second = train(tmp_path / "parts", "--max-update=5", *options)
    assert second.steps == whole.steps[3:]
    assert_same_tensors(whole.load()["model"], second.load()["model"])
    plain = train(tmp_path / "plain", "--max-update=5")
    assert plain.steps[0].loss == whole.steps[0].loss
    assert plain.steps[-1].loss != whole.steps[-1].loss


@pytest.mark.parametrize(("options", "message"), [
    (["--gradient-surgery=mgda"], "--gradient-surgery: expected gradvac, pcgrad, upgrad, found"),
    (["--gradient-surgery=pcgrad", "--differentiate-at=9"], "both take the gradients of the lan"),
])  # fmt: skip
def test_what_cannot_be(train, tmp_path, options, message):
    with pytest.raises(SystemExit) as error:
        train(tmp_path / "run", "--max-update=1", *options)
    assert message in str(error.value), error.value


def test_the_log_has_the_share_of_conflicts(train, tmp_path, caplog):
    caplog.set_level("INFO", logger="fairseq.logging.progress_bar")
    train(tmp_path, "--max-update=4", "--gradient-surgery=pcgrad")
    found = re.findall(r"conflicts=([0-9.]+)", caplog.text)
    assert found, caplog.text
    assert all(0 <= float(share) <= 1 for share in found)
