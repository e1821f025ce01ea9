"""Recording under autocast: outputs and gradients are those of the plain module."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import LanguageBatch
from tests.unit.zoo import LANGUAGES, Sink

IDS = [2, 0, 3, 0, 2, 0]
WIDTH = 6

LEAVES = {
    "linear": (lambda: nn.Linear(WIDTH, 4), 1),
    "layer norm": (lambda: nn.LayerNorm(WIDTH), 1),
    "embedding": (lambda: nn.Embedding(9, WIDTH), 1),
    "convolution": (lambda: nn.Conv1d(WIDTH, 4, 3, padding=1), 0),
    "batch norm": (lambda: nn.BatchNorm1d(WIDTH), 0),
}


def input_of(leaf, dtype):
    generator = torch.Generator().manual_seed(1)
    if isinstance(leaf, nn.Embedding):
        return torch.randint(0, 9, (5, len(IDS)), generator=generator)
    shape = (len(IDS), WIDTH, 5) if isinstance(leaf, (nn.Conv1d, nn.BatchNorm1d)) else (5, 6, WIDTH)
    return torch.randn(shape, generator=generator).to(dtype).requires_grad_()


def gradients(leaf, x, run):
    """Return output, gradients of parameters, and that of the input."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = run(leaf, x)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    (y.float() * weights).sum().backward()
    of_input, x.grad = x.grad, None
    return y, [parameter.grad for parameter in leaf.parameters()], of_input


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", LEAVES)
def test_a_recorded_module_is_the_plain_one(kind, dtype):
    build, batch_dim = LEAVES[kind]
    torch.manual_seed(0)
    leaf, sink = build(), Sink()
    x = input_of(leaf, dtype)
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    try:
        expected = gradients(copy.deepcopy(leaf), x, lambda module, x: module(x))
    except RuntimeError as error:
        pytest.skip(f"this torch can't: {error}")
    found = gradients(
        leaf, x, lambda module, x: forward_recorded(module, x, batch, batch_dim, "unit", sink)
    )
    assert found[0].dtype == expected[0].dtype
    assert torch.equal(found[0], expected[0])
    bits = 2e-2 if torch.bfloat16 in (dtype, found[0].dtype) else 1e-6
    for own, other in zip(found[1], expected[1]):
        assert own.dtype == other.dtype
        assert torch.allclose(own, other, rtol=0, atol=bits * other.abs().max().item())
    if x.is_floating_point():
        assert found[2].dtype == expected[2].dtype
        scale = expected[2].float().abs().max().item()
        assert torch.allclose(found[2].float(), expected[2].float(), rtol=0, atol=bits * scale)
    assert {language for _, _, language in sink.sums} == set(IDS)


def test_a_layer_norm_may_have_more_bits_than_its_input(monkeypatch):
    """Autocast on a GPU runs it in fp32, here by hand; what it is given has half of them."""
    plain = torch.native_layer_norm
    leaf, sink = nn.LayerNorm(WIDTH), Sink()
    x = input_of(leaf, torch.bfloat16)
    leaf(x.float()).pow(3).sum().backward()
    expected, of_input = [p.grad.clone() for p in leaf.parameters()], x.grad
    leaf.zero_grad()
    x.grad = None
    monkeypatch.setattr(torch, "native_layer_norm", lambda x, *others: plain(x.float(), *others))
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    output = forward_recorded(leaf, x, batch, 1, "unit", sink)
    assert output.dtype == torch.float32
    output.pow(3).sum().backward()
    for parameter, other in zip(leaf.parameters(), expected):
        assert torch.allclose(parameter.grad, other, rtol=1e-5, atol=1e-5)
    assert torch.equal(x.grad, of_input)
