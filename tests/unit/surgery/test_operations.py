"""Operations: one more is one class, and whatever fails half way leaves the model as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairseq_gist.architectures import PLAIN
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves import Leaf, leaf_of, register_leaf
from fairseq_gist.nn.leaves.linear import LEAF as LINEAR
from fairseq_gist.nn.watching import is_watched, watch
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery import operations
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.operations.base import Operation
from fairseq_gist.surgery.optimizer import copy_optimizer_state
from fairseq_gist.surgery.plan_buffer import PLAN_KEY
from fairseq_gist.surgery.state import export_state, reconcile
from fairseq_gist.surgery.units import count_parameters, find_units, module_at, select_units
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, Sink

IDS = [2, 0, 3, 0, 1, 2]
FC1, FC2 = "decoder.layers.0.fc1", "decoder.layers.0.fc2"
PAIRS = [["de", "nl"], ["es", "fr"]]


# ------------------------------------------------------------------- one more operation, from here
class WithDifference(nn.Linear):
    """A projection whose weight all groups have, and a difference of rank 1 that starts as zero."""

    def __init__(self, whole):
        super().__init__(whole.in_features, whole.out_features)
        self.weight, self.bias = whole.weight, whole.bias
        self.down = nn.Parameter(torch.randn_like(whole.weight[:1]))
        self.up = nn.Parameter(torch.zeros_like(whole.weight[:, :1]))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias) + (x @ self.down.t()) @ self.up.t()


class WithDifferenceLeaf(Leaf):
    module = WithDifference

    def forward(self, module, x, to, source_of=None):
        plain = nn.Linear(1, 1)
        plain.weight, plain.bias = module.weight, module.bias
        return LINEAR.forward(plain, x, to) + (x @ module.down.t()) @ module.up.t()


class LowRank(Operation):
    """Gives every group of one unit a difference instead of a copy."""

    name, order = "low rank", 5

    def __init__(self, path, languages, group_of):
        self.units, self.path = (path,), path
        self.languages, self.group_of = languages, group_of

    @classmethod
    def between(cls, change):
        after = change.after
        return [cls(FC1, after.languages, after.group_of(FC1))] if FC1 in change.units else []

    def build(self, bench):
        whole = bench.module(self.path)
        copies = [WithDifference(whole) for _ in range(max(self.group_of) + 1)]
        for one in copies:
            bench.lineage.add_fresh(one.down)
            bench.lineage.add_fresh(one.up)
        args = (bench.routing, self.path, self.path, PLAIN.batch_dim(self.path))
        bench.put(self.path, GroupedModule(copies, self.group_of, *args))

    def expand(self, state, model):
        whole = {name: state.pop(f"{self.path}.{name}") for name in ("weight", "bias")}
        for name, own in module_at(model, self.path).state_dict().items():
            state[f"{self.path}.{name}"] = whole.get(name.split(".")[-1], own)

    def extract(self, state, language):
        own = self.group_of[self.languages.index(language)]
        parts = ("weight", "bias", "down", "up")
        found = [
            {part: state.pop(f"{self.path}.copies.{group}.{part}") for part in parts}
            for group in range(max(self.group_of) + 1)
        ][own]
        state[f"{self.path}.weight"] = found["weight"] + found["up"] @ found["down"]
        state[f"{self.path}.bias"] = found["bias"]


@pytest.fixture
def _low_rank(monkeypatch):
    register_leaf(WithDifferenceLeaf())
    kinds = sorted([*operations._kinds(), LowRank], key=lambda kind: kind.order)
    monkeypatch.setattr(operations, "_kinds", lambda: kinds)


def plan_for(model):
    return SharingPlan(LANGUAGES, dict.fromkeys(select_units(find_units(model)), PAIRS))


def disturbed(model):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.usefixtures("_low_rank")
def test_another_operation_leaves_the_function_and_starts_without_moments():
    model, reference = zoo.plain(), zoo.plain()
    tokens, targets = zoo.batch(IDS)
    old = torch.optim.Adam(model.parameters(), lr=0.01)
    zoo.loss(model, tokens, targets, IDS).backward()
    old.step()
    reference.load_state_dict(model.state_dict())
    lineage = apply_plan(model, plan_for(model), model.routing)
    assert torch.allclose(model(tokens, IDS), reference(tokens, IDS), rtol=0, atol=1e-12)
    new = torch.optim.Adam(model.parameters(), lr=0.01)
    copy_optimizer_state(old, new, lineage)
    grouped = model.decoder.layers[0].fc1
    assert grouped.copies[0].up not in new.state
    assert grouped.copies[0].weight in new.state
    assert model.decoder.layers[1].fc1.copies[1].weight in new.state
    sink = model.routing.sink = Sink()
    zoo.loss(model, tokens, targets, IDS).backward()
    assert (FC1, "weight", 3) in sink.sums


@pytest.mark.usefixtures("_low_rank")
def test_another_operation_is_done_to_checkpoints_and_exported():
    model = zoo.plain()
    shared = copy.deepcopy(model.state_dict())
    plan = plan_for(model)
    apply_plan(model, plan, model.routing)
    reconcile(model, shared, model.routing)
    model.load_state_dict(shared)
    disturbed(model)
    tokens, _ = zoo.batch(IDS)
    expected = model(tokens, IDS)
    later = zoo.plain()
    state = model.state_dict()
    reconcile(later, state, later.routing)
    later.load_state_dict(state)
    assert torch.equal(later(tokens, IDS), expected)
    assert count_parameters(later) == count_parameters(model)
    stock = zoo.plain()
    stock.load_state_dict(export_state(model.state_dict(), "fr"))
    rows = [row for row, one in enumerate(IDS) if one == 2]
    found = stock(tokens[rows], [2] * len(rows))
    assert torch.allclose(found, expected[rows], rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------- all or nothing
def everything(model):
    """Return all that surgery could have changed."""
    attributes = {
        path: {key: value for key, value in vars(module).items() if not key.startswith("_")}
        for path, module in model.named_modules()
    }
    parameters = {name: (id(p), p.clone()) for name, p in model.named_parameters()}
    return dict(model.named_modules()), attributes, parameters


def division_plan(model):
    division = Division(FC2, 12, (1, 2, 5, 9))
    units = {unit: PAIRS for unit in select_units(find_units(model)) if unit not in (FC1, FC2)}
    one, other, *own = divided_units(FC1, division)
    return SharingPlan(
        LANGUAGES,
        {**units, one: [LANGUAGES], other: [LANGUAGES], **dict.fromkeys(own, PAIRS)},
        divisions={FC1: division},
    )


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        ("copy", MemoryError("no room for another copy")),
        ("copy", RuntimeError("CUDA out of memory")),
        ("part", RuntimeError("CUDA out of memory")),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 3])
def test_whatever_fails_half_way_changes_nothing(monkeypatch, fails, error, after):
    model = zoo.plain()
    for unit in find_units(model).values():
        for path in unit.paths:
            module = module_at(model, path)
            watch(module, model.routing, unit.name, path, PLAIN.batch_dim(path))
    modules, attributes, parameters = everything(model)
    tokens, _ = zoo.batch(IDS)
    expected = model(tokens, IDS)
    calls = []

    def limited(whole):
        def run(*args):
            calls.append(args)
            if len(calls) > after:
                raise error
            return whole(*args)

        return run

    leaf = leaf_of(nn.Linear(1, 1))
    with monkeypatch.context() as patch:
        if fails == "copy":
            patch.setattr("fairseq_gist.nn.wrapping.copy.deepcopy", limited(copy.deepcopy))
        else:
            patch.setattr(leaf, "part", limited(leaf.part))
        with pytest.raises(type(error), match=str(error)):
            apply_plan(model, division_plan(model), model.routing)
    assert dict(model.named_modules()) == modules
    assert PLAN_KEY not in model.state_dict()
    for path, module in model.named_modules():
        assert {k: v for k, v in vars(module).items() if not k.startswith("_")} == attributes[path]
    for name, parameter in model.named_parameters():
        assert id(parameter) == parameters[name][0]
        assert torch.equal(parameter, parameters[name][1])
    assert is_watched(model.decoder.layers[0].fc1)
    assert torch.equal(model(tokens, IDS), expected)
    apply_plan(model, division_plan(model), model.routing)  # and it can be done later
    assert torch.allclose(model(tokens, IDS), expected, rtol=0, atol=1e-12)
