"""Replacing forwards: several at a time, in their order, and taken off again."""

from __future__ import annotations

import copy
import functools
import pickle

import pytest
import torch
from torch import nn

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.adapters import attach_adapter
from fairseq_gist.nn.checkpointing import checkpoint_routed
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.source_once import read_source_once
from fairseq_gist.nn.watching import Watch, is_watched, watch
from fairseq_gist.nn.wrapping import (
    Handle,
    Wrapper,
    copy_unwrapped,
    replaced_by_others,
    unwrap,
    wrap,
    wrapper_of,
)
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES, Sink


def noted(forward, says, seen, x, **kwargs):
    seen.append(says)
    return forward(x, **kwargs)


class Note(Wrapper):
    level = 3

    def __init__(self, says, seen):
        self.says, self.seen = says, seen

    def around(self, module, forward):
        return functools.partial(noted, forward, self.says, self.seen)


class Within(Note):
    level = -1


@pytest.mark.parametrize("order", [(Note, Within), (Within, Note)])
def test_wrappers_lie_in_their_order_and_come_off_in_any(order):
    leaf, seen = nn.Linear(2, 2), []
    x = torch.zeros(1, 2)
    handles = {kind: wrap(leaf, kind(kind.__name__, seen)) for kind in order}
    leaf(x)
    assert seen == ["Note", "Within"]
    seen.clear()
    handles[Note].remove()
    handles[Note].remove()
    leaf(x)
    assert seen == ["Within"]
    handles[Within].remove()
    assert vars(leaf).keys() == vars(nn.Linear(2, 2)).keys()


def test_one_of_a_class_at_a_time():
    leaf, seen = nn.Linear(2, 2), []
    first = wrap(leaf, Note("first", seen))
    second = wrap(leaf, Note("second", seen))
    first.remove()  # another has its place
    leaf(torch.zeros(1, 2))
    assert seen == ["second"]
    assert wrapper_of(leaf, Note).says == "second"
    second.remove()
    assert wrapper_of(leaf, Note) is None


def test_handles_end_with_a_block_that_fails():
    leaf, other, seen = nn.Linear(2, 2), nn.Linear(2, 2), []
    with pytest.raises(ValueError, match="on the way"), Handle() as handle:  # noqa: PT012
        handle.extend(wrap(leaf, Note("leaf", seen)))
        handle.extend(wrap(other, Note("other", seen)))
        raise ValueError("on the way")
    assert "forward" not in vars(leaf)
    assert "forward" not in vars(other)


def test_what_other_code_put_in_stays_beneath():
    leaf, seen = nn.Linear(2, 2), []
    theirs = leaf.forward = functools.partial(noted, leaf.forward, "theirs", seen)
    handle = wrap(leaf, Note("ours", seen))
    leaf(torch.zeros(1, 2))
    assert seen == ["ours", "theirs"]
    assert replaced_by_others(leaf) is theirs
    handle.remove()
    assert leaf.forward is theirs
    assert replaced_by_others(leaf) is theirs


def test_what_other_code_put_on_top_is_not_thrown_away():
    leaf, seen = nn.Linear(2, 2), []
    handle = wrap(leaf, Note("ours", seen))
    leaf.forward = functools.partial(noted, leaf.forward, "theirs", seen)
    with pytest.raises(SurgeryError, match=r"the forward of Linear was replaced by .* since"):
        handle.remove()
    wrap(leaf, Within("above", seen))
    leaf(torch.zeros(1, 2))
    assert seen == ["above", "theirs", "ours"]


def test_copies_are_wrapped_for_themselves_or_not_at_all():
    model = zoo.plain()
    layer, leaf = model.decoder.layers[0], model.decoder.layers[0].fc1
    watch(leaf, model.routing, "fc1", "decoder.layers.0.fc1", 1)
    attach_adapter(layer.double(), zoo.WIDTH, 2)
    layer.adapter.double()
    with torch.no_grad():
        layer.adapter.up.weight.fill_(1.0)
    x = torch.randn(3, 2, zoo.WIDTH, dtype=torch.double)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other.decoder.layers[0](x), layer(x))
        with torch.no_grad():
            other.decoder.layers[0].adapter.up.weight.zero_()
            other.decoder.layers[0].fc2.weight.zero_()
        assert not torch.equal(other.decoder.layers[0](x), layer(x))
    bare = copy_unwrapped(leaf)
    assert not is_watched(bare)
    assert "forward" not in vars(bare)
    assert is_watched(leaf)
    assert torch.equal(bare(x), leaf(x))


@pytest.mark.parametrize("source_first", [True, False])
def test_recording_and_reading_sources_once_go_together(source_first):
    """Whichever comes first, and also when recording has ended."""
    leaf, routing = nn.Linear(4, 3).double(), Routing(LANGUAGES)
    steps = [
        lambda: read_source_once(leaf, routing),
        lambda: watch(leaf, routing, "k_proj", "decoder.layers.0.encoder_attn.k_proj", 1),
    ]
    for step in steps if source_first else reversed(steps):
        step()
    x = torch.randn(5, 2, 4, dtype=torch.double)
    of_rows = torch.tensor([0, 1, 1, 0])
    expected = nn.functional.linear(x, leaf.weight, leaf.bias).index_select(1, of_rows)
    with routing.using(LanguageBatch(torch.tensor([0, 1, 2, 0]), LANGUAGES, of_rows)):
        assert torch.equal(leaf(x), expected)
        sink = routing.sink = Sink()
        found = leaf(x)
        assert torch.equal(found, expected)
        found.sum().backward()
        assert {language for _, _, language in sink.sums} == {0, 1, 2}
        unwrap(leaf, Watch)
        assert torch.equal(leaf(x), expected)


def test_checkpointing_lies_round_an_adapter_that_comes_later():
    layer, routing, seen = nn.Linear(4, 4), Routing(LANGUAGES), []

    def checkpoint(module):
        module.forward = functools.partial(noted, module.forward, "again", seen)

    checkpoint_routed(layer, routing, checkpoint)
    attach_adapter(layer, 4, 2)
    with torch.no_grad():
        layer.adapter.up.bias.fill_(1.0)
    x = torch.randn(3, 4, requires_grad=True)
    expected = nn.functional.linear(x, layer.weight, layer.bias) + 1
    assert torch.allclose(layer(x), expected)
    assert seen == ["again"]
