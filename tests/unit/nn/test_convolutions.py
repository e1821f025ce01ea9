"""Convolutions and batch norms: gradients per language, and groups that normalise together."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from fairseq_gist.architectures import of_arch
from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves.batch_norm import GroupedBatchNorm
from fairseq_gist.nn.per_language import forward_recorded
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import no_units
from tests.unit.zoo import LANGUAGES, Sink

IDS = [2, 0, 3, 0, 2, 0]  # 'es' (1) is absent
CHANNELS, TIME = 6, 11
CONVOLUTIONS = {
    "pointwise": lambda: nn.Conv1d(CHANNELS, 8, 1, bias=False),
    "depthwise": lambda: nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2, groups=CHANNELS, bias=False),
    "subsampling": lambda: nn.Conv1d(CHANNELS, 4, 5, stride=2, padding=2),
    "dilated": lambda: nn.Conv1d(CHANNELS, 4, 3, dilation=2, groups=2),
}


def rows(seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(IDS), CHANNELS, TIME, generator=generator, dtype=torch.float64)
    return x.requires_grad_()


def disturbed(module):
    torch.manual_seed(0)
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


def gradients(module, x, weights):
    module.zero_grad()
    (module(x) * weights).sum().backward()
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}


def check(module, x, oracle):
    """Record ``module``; compare output, input gradient, sum and every language's part."""
    fresh, own_x, sink = copy.deepcopy(module), x.detach().clone().requires_grad_(), Sink()
    weights = torch.randn(module(x).shape, generator=torch.Generator().manual_seed(2)).double()
    plain = copy.deepcopy(fresh)
    expected_output = plain(x)
    x.grad = None
    total = gradients(copy.deepcopy(fresh), x, weights)
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    output = forward_recorded(fresh, own_x, batch, 0, "unit", sink)
    assert torch.equal(output, expected_output)
    (output * weights).sum().backward()
    assert torch.allclose(own_x.grad, x.grad, rtol=1e-12, atol=1e-12)
    assert {key[2] for key in sink.sums} == set(IDS)
    for name, parameter in fresh.named_parameters():
        assert torch.allclose(parameter.grad, total[name], rtol=1e-10, atol=1e-10), name
        for language in sorted(set(IDS)):
            found = sink.sums["unit", name, language]
            expected = oracle(name, language, weights)
            assert torch.allclose(found.double(), expected, rtol=1e-6, atol=1e-6), (name, language)
    for name, buffer in fresh.named_buffers():  # running statistics move as in the plain module
        assert torch.equal(buffer, dict(plain.named_buffers())[name]), name


def own_rows(language):
    return torch.tensor([row for row, one in enumerate(IDS) if one == language])


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_a_convolutions_languages_get_the_gradients_of_their_rows(kind):
    module, x = disturbed(CONVOLUTIONS[kind]()), rows()

    def oracle(name, language, weights):
        where = own_rows(language)
        return gradients(copy.deepcopy(module), x.detach()[where], weights[where])[name]

    check(module, x, oracle)


@pytest.mark.parametrize("training", [False, True])
def test_a_batch_norms_languages_get_the_gradients_of_their_rows(training):
    module, x = disturbed(nn.BatchNorm1d(CHANNELS)), rows()
    module(3 * rows(5) + 1)  # running statistics that are neither 0 nor 1
    module.train(training)

    def oracle(name, language, weights):
        """All rows are normalised together, and the others' have no loss."""
        mask = torch.zeros(len(IDS), 1, 1).index_fill(0, own_rows(language), 1.0)
        return gradients(copy.deepcopy(module), x.detach(), weights * mask)[name]

    check(module, x, oracle)


def test_what_is_not_plain_is_refused():
    batch = LanguageBatch(torch.tensor(IDS), LANGUAGES)
    same = nn.Conv1d(CHANNELS, 4, 3, padding="same").double()
    norm = nn.BatchNorm1d(CHANNELS, momentum=None).double()
    with pytest.raises(SurgeryError, match="conv: .* padding in numbers, not for 'same'"):
        forward_recorded(same, rows(), batch, 0, "conv", Sink())
    with pytest.raises(SurgeryError, match="norm: .* need a batch norm with a momentum"):
        forward_recorded(norm, rows(), batch, 0, "norm", Sink())


# -- groups


class Block(nn.Module):
    """A convolution module of a Conformer's layer, as short as it gets."""

    architecture = of_arch("s2t_conformer")

    def __init__(self):
        super().__init__()
        self.conv_module = nn.Module()
        self.conv_module.depthwise_conv = CONVOLUTIONS["depthwise"]()
        self.conv_module.batch_norm = nn.BatchNorm1d(CHANNELS)
        self.scale = nn.Parameter(torch.ones(1))
        self.decoder = nn.Module()
        self.decoder.layer_norm = nn.LayerNorm(2)  # a model has one, and plans may leave it out
        self.routing = Routing(LANGUAGES)

    def forward(self, x, ids):
        with self.routing.using(LanguageBatch(torch.tensor(ids), LANGUAGES)):
            return self.conv_module.batch_norm(self.conv_module.depthwise_conv(x)) * self.scale


GROUPS = [["de", "nl"], ["es"], ["fr"]]
UNITS = ("conv_module.depthwise_conv", "conv_module.batch_norm")


def split_block():
    block = disturbed(Block())
    block.routing.in_encoder = True
    before = copy.deepcopy(block)
    apply_plan(block, SharingPlan(LANGUAGES, dict.fromkeys(UNITS, GROUPS)), block.routing)
    return before, block


@pytest.mark.parametrize("training", [False, True])
def test_a_split_leaves_function_gradients_and_statistics(training):
    before, after = (block.train(training) for block in split_block())
    assert isinstance(after.conv_module.batch_norm, GroupedBatchNorm)
    assert type(after.conv_module.depthwise_conv) is GroupedModule
    x, own_x = rows(), rows()
    one, other = before(x, IDS), after(own_x, IDS)
    assert torch.equal(one, other), f"differs by {(one - other).abs().max()}"
    weights = rows(3).detach()
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    assert torch.allclose(x.grad, own_x.grad, rtol=1e-12, atol=1e-12)
    copies = after.conv_module.batch_norm.copies
    total = sum(c.weight.grad for c in copies if c.weight.grad is not None)
    assert torch.allclose(before.conv_module.batch_norm.weight.grad, total)
    for each in copies:  # 'es' too, of which there was no row
        for name, buffer in before.conv_module.batch_norm.named_buffers():
            assert torch.equal(buffer, dict(each.named_buffers())[name]), name


def test_copies_agree_after_batches_of_any_languages():
    _, block = split_block()
    for ids in ([0] * 6, [1] * 6, [0, 1, 2, 3, 0, 1], [2] * 6):
        block(rows(sum(ids)), ids)
    first, *others = block.conv_module.batch_norm.copies
    assert first.num_batches_tracked == 4
    for other in others:
        assert torch.equal(first.running_mean, other.running_mean)
        assert torch.equal(first.running_var, other.running_var)


def test_accumulated_updates_can_be_run_back():
    """Two forwards before either backward, whose groups differ."""
    _, block = split_block()
    batches = [(rows(), [0] * 6), (rows(2), [1, 1, 1, 2, 2, 2])]
    losses = [(block(x, ids) ** 2).sum() for x, ids in batches]
    sum(losses).backward()
    together = {name: one.grad for name, one in block.named_parameters() if one.grad is not None}

    _, block = split_block()
    for x, ids in batches:
        (block(x, ids) ** 2).sum().backward()
    apart = {name: one.grad for name, one in block.named_parameters() if one.grad is not None}
    assert together.keys() == apart.keys()
    for name, gradient in apart.items():
        assert torch.allclose(gradient, together[name], rtol=1e-12, atol=1e-12), name


def test_copies_weigh_the_rows_of_their_languages():
    _, block = split_block()
    block.eval()
    norm = block.conv_module.batch_norm
    with torch.no_grad():
        norm.copies[1].weight.mul_(2.0)
        norm.copies[1].bias.mul_(2.0)
    x = rows()
    one, other = block(x, [0, 0, 3, 0, 0, 3]), block(x, [0, 1, 3, 0, 1, 3])
    changed = (one - other).abs().amax((1, 2)) > 0
    assert changed.tolist() == [False, True, False, False, True, False]


def test_a_module_whose_rows_are_all_alike_runs_once_a_group():
    calls = []
    copies = [disturbed(nn.Linear(CHANNELS, 4)) for _ in range(3)]
    for one in copies:
        one.register_forward_hook(lambda module, inputs, output: calls.append(inputs[0].shape))
        nn.init.normal_(one.weight)
    arguments = ((0, 1, 2, 0), Routing(LANGUAGES), "unit", "x.self_attn.linear_pos", 0)
    once = GroupedModule(copies, *arguments, is_common=True)
    plain = GroupedModule(copies, *arguments)
    x = rows().detach()[:1].transpose(1, 2).expand(len(IDS), -1, -1)
    with once.routing.using(LanguageBatch(torch.tensor(IDS), LANGUAGES)):
        found = once(x)
    assert [shape[0] for shape in calls] == [1, 1]
    with plain.routing.using(LanguageBatch(torch.tensor(IDS), LANGUAGES)):
        assert torch.allclose(found, plain(x), rtol=0, atol=1e-14)


# -- where rows are, and what is no unit


def test_bare_parameters_and_other_modules_are_no_units():
    block = Block()
    block.picture = nn.Conv2d(1, 1, 3)
    assert list(no_units(block)) == ["scale", "picture"]
    assert "a parameter of Block itself" in no_units(block)["scale"]
    assert "it is a Conv2d" in no_units(block)["picture"]
