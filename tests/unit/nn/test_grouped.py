"""Grouped modules: every row through its own copy, and nothing by guess."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.grouped import GroupedModule, fill_idle_gradients
from fairseq_gist.nn.routing import LanguageBatch, Routing
from tests.unit.zoo import LANGUAGES, Sink

GROUP_OF = (0, 1, 2, 0)
IDS = [3, 1, 0, 2, 1, 3]

LEAVES = {
    "linear": lambda: nn.Linear(6, 4),
    "layer norm": lambda: nn.LayerNorm(6),
    "embedding": lambda: nn.Embedding(9, 6, padding_idx=1),
}


def grouped(kind="linear", batch_dim=1):
    torch.manual_seed(0)
    copies = [LEAVES[kind]() for _ in range(3)]
    with torch.no_grad():
        for copy in copies:
            for parameter in copy.parameters():
                parameter.normal_()
    module = GroupedModule(
        copies, GROUP_OF, Routing(LANGUAGES), "unit", "decoder.layers.0.fc1", batch_dim
    )
    return module.double()


def inputs(kind, batch_dim, rows=6):
    generator = torch.Generator().manual_seed(1)
    shape = (rows, 5) if batch_dim == 0 else (5, rows)
    if kind == "embedding":
        return torch.randint(0, 9, shape, generator=generator)
    return torch.randn(*shape, 6, generator=generator, dtype=torch.float64)


def run(module, x, ids):
    with module.routing.using(LanguageBatch(torch.tensor(ids), LANGUAGES)):
        return module(x)


@pytest.mark.parametrize("batch_dim", [0, 1])
@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("recorded", [False, True])
def test_a_mixed_batch_equals_one_language_at_a_time(kind, batch_dim, recorded):
    module = grouped(kind, batch_dim)
    x = inputs(kind, batch_dim)
    module.routing.sink = Sink() if recorded else None
    mixed = run(module, x, IDS)
    for row, language in enumerate(IDS):
        own = x.narrow(batch_dim, row, 1)
        expected = module.copies[GROUP_OF[language]](own)
        assert torch.equal(run(module, own, [language]), expected)
        difference = (mixed.narrow(batch_dim, row, 1) - expected).abs().max().item()
        assert difference < 1e-12, f"row {row} ({LANGUAGES[language]}) differs by {difference}"


def test_ids_in_another_order_give_another_result():
    module = grouped()
    x = inputs("linear", 1)
    right, wrong = run(module, x, IDS), run(module, x, IDS[::-1])
    same = [GROUP_OF[a] == GROUP_OF[b] for a, b in zip(IDS, IDS[::-1])]
    assert False in same
    for row, is_same in enumerate(same):
        assert torch.equal(right[:, row], wrong[:, row]) == is_same, f"row {row}"


def test_a_wrong_number_of_ids_is_named():
    module = grouped()
    with pytest.raises(RoutingError, match=r"layers\.0\.fc1: the batch has 5 rows, .* ids for 6"):
        run(module, inputs("linear", 1, rows=5), IDS)


def test_a_batch_without_ids_is_named():
    module = grouped()
    with pytest.raises(RoutingError, match=r"decoder\.layers\.0\.fc1 needs to know the language"):
        module(inputs("linear", 1))


def test_keys_and_values_of_beam_search():
    module = grouped()
    x = inputs("linear", 1, rows=2)
    beams = run(module, x, [1, 1, 1, 3, 3, 3])
    assert torch.equal(beams, run(module, x, [1, 3]))


def test_a_copy_that_did_not_run_has_no_gradient():
    module = grouped()
    run(module, inputs("linear", 1, rows=2), [0, 2]).sum().backward()
    assert module.copies[1].weight.grad is None
    assert module.copies[0].weight.grad is not None


def test_idle_copies_get_a_gradient_of_zero_and_nothing_else_does():
    model = nn.ModuleDict({"grouped": grouped(), "unused": nn.Linear(2, 2)})
    module = model["grouped"]
    module.copies[1].bias.requires_grad_(False)
    run(module, inputs("linear", 1, rows=2), [0, 2]).sum().backward()
    busy = module.copies[0].weight.grad.clone()
    fill_idle_gradients(model)
    assert torch.equal(module.copies[0].weight.grad, busy)
    assert torch.equal(module.copies[1].weight.grad, torch.zeros(4, 6, dtype=torch.float64))
    assert module.copies[1].bias.grad is None
    assert model["unused"].weight.grad is None


@pytest.mark.parametrize("kind", LEAVES)
def test_gradients_are_those_of_each_copy_alone_and_recorded_by_language(kind):
    module, reference = grouped(kind), grouped(kind)
    x = inputs(kind, 1)
    sink = module.routing.sink = Sink()
    run(module, x, IDS).pow(2).sum().backward()
    for group in range(3):
        rows = [row for row, one in enumerate(IDS) if GROUP_OF[one] == group]
        reference.copies[group](x[:, rows]).pow(2).sum().backward()
        expected = reference.copies[group].weight.grad
        found = module.copies[group].weight.grad
        assert torch.allclose(found, expected, rtol=1e-10), f"copy {group}: {found - expected}"
        of_group = [sink.sums["unit", "weight", one] for one in set(IDS) if GROUP_OF[one] == group]
        assert torch.allclose(sum(of_group), expected, rtol=1e-10), f"recorded for {group}"


def test_it_has_no_weights_that_others_could_read():
    module = grouped()
    assert not hasattr(module, "weight")
    assert not hasattr(module, "bias")
    assert list(module.state_dict())[:2] == ["copies.0.weight", "copies.0.bias"]


def test_repr_says_who_shares():
    assert "de nl | es | fr" in repr(grouped())
