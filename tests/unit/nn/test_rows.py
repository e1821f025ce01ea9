"""Nothing of a batch is read back from the device it lies on, and its positions go there at once.

The device is torch's ``meta``, which has shapes and no numbers: reading one there is an error.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fairseq_gist.data.known_rows import KNOWN_ROWS, KnownRows, tell_rows
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.rows import index_on, known_values, remember, reordered, values_of
from fairseq_gist.nn.tags import check_tags, tag_places
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, select_units
from tests.unit import zoo
from tests.unit.zoo import LANGUAGES

FAR = torch.device("meta")
IDS = [2, 0, 3, 0, 1]
TAGS = (20, 21, 22, 23)


def far(values):
    return remember(torch.tensor(values).to(FAR), values)


def test_the_very_tensor_remembers_until_it_is_changed():
    ids = remember(torch.tensor(IDS), IDS)
    assert known_values(ids) == IDS
    assert known_values(ids.roll(1)) is None
    assert known_values(ids[1:]) is None
    ids[0] = 1
    assert known_values(ids) is None
    assert values_of(ids) == [1, *IDS[1:]]


def test_what_nobody_told_is_read():
    assert values_of(torch.tensor(IDS)) == IDS
    with pytest.raises(Exception, match="(?i)meta"):
        values_of(torch.tensor(IDS).to(FAR))
    assert values_of(far(IDS)) == IDS


def test_rows_in_another_order_know_what_can_be_told():
    order = torch.tensor([4, 4, 0])
    assert known_values(reordered(remember(torch.tensor(IDS), IDS), order)) == [1, 1, 2]
    assert known_values(reordered(far(IDS), index_on(FAR, [4, 4, 0]))) == [1, 1, 2]
    assert known_values(reordered(far(IDS), order.to(FAR))) is None
    assert known_values(reordered(far([3, 3, 3]), torch.tensor([0, 2, 1, 1]).to(FAR))) == [3] * 4
    assert known_values(reordered(torch.tensor(IDS), order)) is None


def test_a_batch_tells_its_tensors_where_they_are_far_away():
    known = KnownRows([0, 3], [20, 23], [0, 0])
    for device, expected in ((FAR, ([0, 3], [0, 0], [20, 23])), ("cpu", (None, None, None))):
        own = {
            "lang_ids": torch.tensor([0, 3]).to(device),
            "utterances": torch.tensor([0, 0]).to(device),
            "prev_output_tokens": torch.tensor([[2, 20, 5], [2, 23, 6]]).to(device),
        }
        tell_rows({"net_input": own, KNOWN_ROWS: known})
        assert tuple(map(known_values, own.values())) == expected
    tell_rows({})


def test_tags_are_checked_without_reading_the_target():
    routing = zoo.plain().routing
    batch = routing.languages_of(far([0, 3]))
    tokens = remember(torch.zeros(2, 5, dtype=torch.long).to(FAR), [20, 23])
    check_tags(batch, tag_places(tokens), TAGS)
    with pytest.raises(Exception, match="tag of 'es'"):
        check_tags(batch, tag_places(remember(tokens.clone(), [20, 21])), TAGS)


needs_meta = pytest.mark.skipif(
    not hasattr(torch, "compile"), reason="torch 1.12 has no norms on its meta device"
)


class Trips:
    """Counts copies to another device, and everything that is read."""

    def __init__(self, monkeypatch):
        self.there, self.back = 0, 0
        to = Tensor.to

        def counted(tensor, *args, **kwargs):
            result = to(tensor, *args, **kwargs)
            self.there += result.device != tensor.device
            return result

        def read(tensor, *args):
            self.back += 1
            raise AssertionError("a number was read")

        monkeypatch.setattr(Tensor, "to", counted)
        for name in ("tolist", "item", "cpu", "numpy", "__bool__", "__int__"):
            monkeypatch.setattr(Tensor, name, read)


class Anywhere:
    """A sink."""

    def __init__(self):
        self.seen = set()

    def add(self, unit, part, languages, gradients):
        self.seen |= {(unit, part, language) for language in languages}


@needs_meta
@pytest.mark.parametrize("records", [False, True])
def test_a_step_has_no_trip_back_and_one_there(monkeypatch, records):
    model = zoo.plain()
    units = select_units(find_units(model))
    apply_plan(model, zoo.some_plan(model, units), model.routing)
    partitions = {m.group_of for m in model.modules() if isinstance(m, GroupedModule)}
    assert len(partitions) > 2
    model.to(FAR)
    tokens = torch.zeros(len(IDS), 4, dtype=torch.long).to(FAR)
    batches = [far(IDS), far([1, 1, 0, 3, 2]), far([0, 0, 0, 0, 1])]
    sink = model.routing.sink = Anywhere() if records else None
    there = []
    with recording(model, units.values(), model.routing):
        for ids in batches:
            with monkeypatch.context() as patch:
                trips = Trips(patch)
                with model.routing.using(model.routing.languages_of(ids)):
                    model.decoder(tokens).sum().backward()
            there.append(trips.there)
            assert trips.back == 0
    assert there[1:] == [1, 1]  # the first one finds out what is asked for
    if records:
        assert {language for _, _, language in sink.seen} == set(range(len(LANGUAGES)))


@needs_meta
def test_steps_of_beam_search_have_none_at_all(monkeypatch):
    model = zoo.plain()
    apply_plan(model, zoo.some_plan(model, select_units(find_units(model))), model.routing)
    model.to(FAR)
    ids, tokens = far([1] * 6), torch.zeros(6, 1, dtype=torch.long).to(FAR)
    order = torch.tensor([1, 0, 0, 3, 5, 4]).to(FAR)
    there = []
    for _ in range(3):
        with monkeypatch.context() as patch:
            trips = Trips(patch)
            ids = reordered(ids, order)
            with model.routing.using(model.routing.languages_of(ids)), torch.no_grad():
                model.decoder(tokens)
        there.append(trips.there)
    assert there[1:] == [0, 0]
