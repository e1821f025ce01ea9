"""All groups in one call each, against one group after the other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairseq_gist.nn import batched
from fairseq_gist.nn.routing import LanguageBatch
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, select_units
from tests.unit import zoo
from tests.unit.nn.test_grouped import GROUP_OF, grouped, inputs, run
from tests.unit.zoo import LANGUAGES, Sink

EVEN = [3, 1, 2, 0, 1, 2]
UNEVEN = [3, 1, 0, 2, 1, 3]
LONELY = [0, 0, 3, 0, 3, 0, 0, 1]  # one row against seven: filling up would double the work


@pytest.fixture
def at_once(monkeypatch):
    """Run groups at once on the CPU too, and count how often."""
    taken = []

    def pays(x, rows):
        does = len(rows.groups) > 1 and rows.padded is not None
        taken.append(does)
        return does

    def switch():
        monkeypatch.setattr(batched, "pays", pays)
        return taken

    return switch


def gradients(module, x, ids):
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = run(module, x, ids)
    up = torch.randn(y.shape, generator=torch.Generator().manual_seed(5), dtype=y.dtype)
    (y * up).sum().backward()
    own = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {"y": y.detach(), "x": x.grad, **own}


@pytest.mark.parametrize("ids", [EVEN, UNEVEN])
@pytest.mark.parametrize("batch_dim", [0, 1])
@pytest.mark.parametrize("kind", ["linear", "layer norm"])
def test_output_and_gradients_are_the_same(kind, batch_dim, ids, at_once):
    module, x = grouped(kind, batch_dim), inputs(kind, batch_dim)
    expected = gradients(module, x, ids)
    taken = at_once()
    found = gradients(module, x, ids)
    assert taken == [True]
    assert list(found) == list(expected)
    for name, own in expected.items():
        difference = (found[name] - own).abs().max().item()
        assert difference < 1e-12, f"{name} differs by {difference}"


def test_a_language_alone_is_not_filled_up_to_the_others():
    rows = LanguageBatch(LONELY, LANGUAGES).partition(GROUP_OF, len(LONELY), "x")
    assert [len(own) for own in rows.rows] == [7, 1]
    assert rows.padded is not None
    crowded = [0] * 30 + [1, 2]
    rows = LanguageBatch(crowded, LANGUAGES).partition(GROUP_OF, len(crowded), "x")
    assert rows.padded is None


def test_a_copy_with_a_hook_is_called_itself(at_once):
    module, x = grouped(), inputs("linear", 1)
    calls = []
    module.copies[1].register_forward_hook(lambda *_: calls.append(1))
    at_once()
    run(module, x, EVEN)
    assert calls == [1]


def in_place(module):
    module.copies[0].weight.mul_(2)


def by_another(module):
    module.copies[0].weight = nn.Parameter(module.copies[0].weight * 2)


def beneath(module):
    module.copies[0].weight.data = module.copies[0].weight.data * 2


@pytest.mark.parametrize("change", [in_place, by_another, beneath])
def test_weights_are_kept_while_nobody_changes_them(change, at_once, monkeypatch):
    stack = torch.stack
    at_once()
    module, x = grouped(), inputs("linear", 1)
    module.eval()
    with torch.no_grad():
        before = run(module, x, EVEN)
        stacked = []
        monkeypatch.setattr(torch, "stack", lambda own: stacked.append(own) or stack(own))
        assert torch.equal(run(module, x, EVEN), before)
        assert not stacked
        change(module)
        changed = run(module, x, EVEN)
    assert len(stacked) == 2
    assert not torch.equal(changed, before)
    assert torch.equal(changed, run(module, x, EVEN).detach())


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("ids", [EVEN, UNEVEN])
def test_recorded_gradients_are_the_same(ids, split, at_once):
    model = zoo.plain().double()
    units = select_units(find_units(model))
    if split:
        apply_plan(model, zoo.some_plan(model, units), model.routing)
    tokens, targets = zoo.batch(ids)
    found = []
    with recording(model, units.values(), model.routing):
        for once in (False, True):
            taken = at_once() if once else []
            model.zero_grad()
            model.routing.sink = sink = Sink()
            zoo.loss(model, tokens, targets, ids).backward()
            model.routing.sink = None
            own = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
            found.append({**sink.sums, **own})
            assert any(taken) == once
    assert set(found[0]) == set(found[1])
    worst = max((found[1][key] - own).abs().max().item() for key, own in found[0].items())
    assert worst < 1e-12, f"largest difference {worst}"


@pytest.mark.parametrize("dim", [64, 100_000])
def test_sketches_of_several_vectors_are_those_of_each(dim):
    from fairseq_gist.recording.sketch import Sketch

    sketch = Sketch(dim, 5000)
    parts = torch.randn(3, 5000, generator=torch.Generator().manual_seed(2))
    together = torch.zeros(3, sketch.size(5000))
    for start, stop in ((0, 700), (700, 5000)):
        sketch.add(together, parts[:, start:stop], start)
    for own, part in zip(together, parts):
        alone = torch.zeros(sketch.size(5000))
        sketch.add(alone, part[:700], 0)
        sketch.add(alone, part[700:], 700)
        difference = (own - alone).abs().max().item()
        assert difference < 1e-4, f"differs by {difference}"


def test_modules_that_cannot_are_run_one_by_one(at_once):
    module, x = grouped("embedding", 0), inputs("embedding", 0)
    expected = run(module, x, EVEN)
    at_once()
    assert torch.equal(run(module, x, EVEN), expected)
    assert isinstance(module.copies[0], nn.Embedding)
