"""Gradients per language against ordinary autograd on each language's rows."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import RoutingError, SurgeryError
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.watching import watch
from fairseq_gist.nn.wrapping import unwrap
from fairseq_gist.surgery.units import find_units, module_at
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, Sink

IDS = [2, 0, 3, 0, 2, 0]  # 'es' (1) is absent
WIDTH = 6

LEAVES = {
    "linear": lambda: nn.Linear(WIDTH, 4),
    "linear without bias": lambda: nn.Linear(WIDTH, 4, bias=False),
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "layer norm over two dimensions": lambda: nn.LayerNorm((3, WIDTH)),
    "embedding": lambda: nn.Embedding(9, WIDTH, padding_idx=1),
    "embedding without padding": lambda: nn.Embedding(9, WIDTH),
}


def leaf_of(kind):
    torch.manual_seed(0)
    leaf = LEAVES[kind]()
    with torch.no_grad():
        for parameter in leaf.parameters():
            parameter.add_(torch.randn(parameter.shape))
    return leaf


def input_of(leaf, batch_dim):
    generator = torch.Generator().manual_seed(1)
    shape = [3, 3]
    shape.insert(batch_dim, len(IDS))
    if isinstance(leaf, nn.Embedding):
        return torch.randint(0, 9, shape, generator=generator)
    shape[-1] = WIDTH
    if isinstance(leaf, nn.LayerNorm) and len(leaf.normalized_shape) == 2:
        shape.insert(-1, 3)
    return torch.randn(shape, generator=generator).requires_grad_()


def gradients(leaf, x, weights):
    """Return the gradients of a weighted sum of the output, by ordinary autograd."""
    leaf.zero_grad()
    (leaf(x) * weights).sum().backward()
    return {name: p.grad.clone() for name, p in leaf.named_parameters()}


def assert_close(found, expected, what, rel=1e-5):
    difference = (found - expected).abs().max().item()
    scale = expected.abs().max().item()
    assert found.shape == expected.shape, f"{what}: {found.shape} instead of {expected.shape}"
    assert difference <= rel * max(scale, 1e-12), f"{what}: off by {difference} of {scale}"


@pytest.mark.parametrize("batch_dim", [0, 1])
@pytest.mark.parametrize("kind", LEAVES)
def test_every_language_gets_the_gradient_of_its_own_rows(kind, batch_dim):
    leaf = leaf_of(kind)
    x = input_of(leaf, batch_dim)
    weights = torch.randn(leaf(x).shape, generator=torch.Generator().manual_seed(2))
    expected_total = gradients(leaf, x, weights)
    expected_input = x.grad

    fresh = copy.deepcopy(leaf)
    own_x = x.detach().clone().requires_grad_(x.requires_grad)
    sink = Sink()
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    output = forward_recorded(fresh, own_x, batch, batch_dim, "unit", sink)
    assert torch.equal(output, leaf(x)), f"output changed by {(output - leaf(x)).abs().max()}"
    (output * weights).sum().backward()

    if expected_input is not None:
        change = (own_x.grad - expected_input).abs().max()
        assert torch.equal(own_x.grad, expected_input), f"input gradient changed by {change}"
    assert {key[2] for key in sink.sums} == set(IDS)
    for name, parameter in fresh.named_parameters():
        assert_close(parameter.grad, expected_total[name], f"sum of {name}")
    for language in sorted(set(IDS)):
        rows = torch.tensor([row for row, one in enumerate(IDS) if one == language])
        part = x.detach().index_select(batch_dim, rows)
        oracle = gradients(leaf, part, weights.index_select(batch_dim, rows))
        for name, expected in oracle.items():
            found = sink.sums["unit", name, language]
            assert_close(found, expected, f"{kind} {name} of {LANGUAGES[language]}")


def test_padding_has_no_gradient():
    leaf = leaf_of("embedding")
    sink = Sink()
    batch = LanguageBatch(torch.tensor([0, 1]), LANGUAGES)
    tokens = torch.tensor([[1, 2], [1, 1]])
    forward_recorded(leaf, tokens, batch, 0, "unit", sink).sum().backward()
    assert sink.sums["unit", "weight", 0].abs().sum(1).nonzero().flatten().tolist() == [2]
    assert sink.sums["unit", "weight", 1].abs().sum().item() == 0


def test_frozen_parameters_are_not_recorded():
    for kind in ("linear", "layer norm"):
        leaf = leaf_of(kind)
        leaf.bias.requires_grad_(False)
        sink = Sink()
        batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
        forward_recorded(leaf, input_of(leaf, 0), batch, 0, "unit", sink).sum().backward()
        assert {part for _, part, _ in sink.sums} == {"weight"}, kind
        assert leaf.bias.grad is None


def test_frozen_input_is_fine():
    leaf = leaf_of("linear")
    sink = Sink()
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    x = input_of(leaf, 0).detach()
    forward_recorded(leaf, x, batch, 0, "unit", sink).sum().backward()
    assert ("unit", "weight", 0) in sink.sums


def test_scaling_the_output_in_place_changes_nothing():
    """As fairseq's attention does with its queries."""
    leaf = leaf_of("linear")
    x = input_of(leaf, 0)
    expected = gradients(leaf, x, torch.full((), 0.25))
    expected_input = x.grad.clone()
    x.grad = None
    leaf.zero_grad()
    sink = Sink()
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    y = forward_recorded(leaf, x, batch, 0, "unit", sink)
    y *= 0.25
    y.sum().backward()
    assert_close(
        sum(sink.sums["unit", "weight", one] for one in set(IDS)), expected["weight"], "sum"
    )
    assert torch.equal(x.grad, expected_input)


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 1),
        nn.Conv1d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.BatchNorm1d(2, track_running_stats=False),
        nn.Embedding(3, 2, scale_grad_by_freq=True),
    ],
    ids=str,
)
def test_other_modules_are_refused(module):
    batch = LanguageBatch(torch.tensor([0]), LANGUAGES)
    with pytest.raises(SurgeryError, match=r"fc1: .* for plain BatchNorm1d, .*Linear.*, not for"):
        forward_recorded(module, torch.zeros(1, 2, 2), batch, 0, "fc1", Sink())


# -- in models


def watched(model):
    for unit in find_units(model).values():
        for path in unit.paths:
            module = module_at(model, path)
            watch(module, model.routing, unit.name, path, PLAIN.batch_dim(path))
    return model


def parameters_of(model, unit, part):
    paths = find_units(model)[unit].paths
    return next(getattr(module_at(model, path), part) for path in paths)


@pytest.mark.parametrize("name", zoo.ALL)
def test_a_whole_model_has_the_gradients_of_its_languages_alone(name):
    model = zoo.ALL[name]()
    tokens, targets = zoo.batch(IDS)
    reference = copy.deepcopy(model)
    zoo.loss(reference, tokens, targets, IDS).backward()

    watched(model)
    sink = model.routing.sink = Sink()
    zoo.loss(model, tokens, targets, IDS).backward()
    model.routing.sink = None
    for (path, found), (_, expected) in zip(model.named_parameters(), reference.named_parameters()):
        assert (found.grad is None) == (expected.grad is None), path
        if found.grad is not None:
            assert_close(found.grad, expected.grad, path, rel=1e-10)

    for language in sorted(set(IDS)):
        rows = [row for row, one in enumerate(IDS) if one == language]
        reference.zero_grad(set_to_none=True)
        ids = [language] * len(rows)
        zoo.loss(reference, tokens[rows], targets[rows], ids).backward()
        expected_keys = {
            (unit, part)
            for unit in find_units(reference)
            for part, parameter in module_at(reference, unit).named_parameters()
            if parameter.grad is not None
        }
        assert {(unit, part) for unit, part, one in sink.sums if one == language} == expected_keys
        for unit, part in expected_keys:
            expected = parameters_of(reference, unit, part).grad
            assert_close(sink.sums[unit, part, language], expected, f"{unit}.{part}", rel=1e-9)


def test_watching_changes_neither_output_nor_state():
    model, reference = zoo.plain(), zoo.plain()
    tokens, _ = zoo.batch(IDS)
    expected = reference(tokens, IDS)
    watched(model)
    assert torch.equal(model(tokens, IDS), expected)
    model.routing.sink = Sink()
    assert torch.equal(model(tokens, IDS), expected)
    assert list(model.state_dict()) == list(reference.state_dict())
    with torch.no_grad():
        assert torch.equal(model(tokens, IDS), expected)
    assert model.routing.sink.sums == {}


def test_watching_twice_records_once():
    model = watched(watched(zoo.plain()))
    sink = model.routing.sink = Sink()
    tokens, targets = zoo.batch(IDS)
    zoo.loss(model, tokens, targets, IDS).backward()
    total = sum(sink.sums["decoder.layers.0.fc1", "weight", one] for one in set(IDS))
    assert_close(total, model.decoder.layers[0].fc1.weight.grad, "fc1", rel=1e-10)


def test_unwatching_gives_the_forward_back():
    model = watched(zoo.plain())
    for unit in find_units(model).values():
        for path in unit.paths:
            unwrap(module_at(model, path))
            assert "forward" not in vars(module_at(model, path))
            unwrap(module_at(model, path))
    model.routing.sink = Sink()
    tokens, targets = zoo.batch(IDS)
    zoo.loss(model, tokens, targets, IDS).backward()
    assert model.routing.sink.sums == {}


def test_a_forward_that_other_code_replaced_is_left_alone():
    leaf, routing = nn.Linear(2, 2), Routing(LANGUAGES)
    theirs = leaf.forward = functools.partial(nn.Linear.forward, leaf)
    with pytest.raises(SurgeryError, match=r"fc1: its forward was replaced by functools\.partial"):
        watch(leaf, routing, "fc1", "fc1", 1)
    unwrap(leaf)
    assert leaf.forward is theirs


def test_recording_needs_the_languages():
    model = watched(zoo.plain())
    tokens, _ = zoo.batch(IDS)
    model.decoder(tokens)
    model.routing.sink = Sink()
    with torch.no_grad():
        model.decoder(tokens)
    with pytest.raises(RoutingError, match=r"decoder\.embed_tokens needs to know the language"):
        model.decoder(tokens)
