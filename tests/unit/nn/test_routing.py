"""Rows and their languages: partitions, beam search, and ids that don't fit."""

from __future__ import annotations

import pytest
import torch

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.nn.tags import check_tags

LANGUAGES = ("de", "es", "fr", "nl")


def batch(*ids, dtype=torch.long):
    return LanguageBatch(torch.tensor(ids, dtype=dtype), LANGUAGES)


@pytest.mark.parametrize("dtype", [torch.long, torch.int32, torch.uint8])
def test_partition_divides_the_rows_and_puts_them_back(dtype):
    parts = batch(2, 0, 3, 0, 2, dtype=dtype).partition((0, 1, 1, 0), 5, "m")
    assert parts.groups == (0, 1)
    assert [rows.tolist() for rows in parts.rows] == [[1, 2, 3], [0, 4]]
    assert [part.ids(len(part)) for part in parts.batches] == [[0, 3, 0], [2, 2]]
    x = torch.arange(5.0)
    together = torch.cat([x.index_select(0, rows) for rows in parts.rows])
    assert together.index_select(0, parts.inverse).tolist() == x.tolist()


def test_groups_that_do_not_occur_are_left_out():
    parts = batch(3, 3).partition((0, 1, 2, 3), 2, "m")
    assert parts.groups == (3,)
    assert [rows.tolist() for rows in parts.rows] == [[0, 1]]


def test_partitions_are_made_once_a_batch():
    one = batch(0, 1)
    assert one.partition((0, 1, 1, 1), 2, "m") is one.partition((0, 1, 1, 1), 2, "n")
    assert one.partition((0, 0, 0, 0), 2, "m") is not one.partition((0, 1, 1, 1), 2, "m")


def test_keys_and_values_of_beam_search_have_a_row_a_sentence():
    beams = batch(2, 2, 2, 0, 0, 0)
    assert beams.ids(6) == [2, 2, 2, 0, 0, 0]
    assert beams.ids(2) == [2, 0]
    parts = beams.partition((0, 1, 2, 3), 2, "m")
    assert [rows.tolist() for rows in parts.rows] == [[1], [0]]


@pytest.mark.parametrize(
    ("ids", "rows"),
    [((0, 1), 3), ((0, 1, 2), 2), ((0, 1, 0, 1), 2), ((0, 0, 1, 1), 1), ((0, 1), 0), ((), 1)],
)
def test_rows_that_do_not_fit_the_ids_are_refused(ids, rows):
    message = f"layers.0.fc1: the batch has {rows} rows, but there are language ids for {len(ids)}"
    with pytest.raises(RoutingError, match=message):
        batch(*ids).ids(rows, "layers.0.fc1")


@pytest.mark.parametrize("wrong", [4, -1])
def test_an_id_that_is_no_language_is_refused(wrong):
    with pytest.raises(RoutingError, match=rf"lang_ids: {wrong} is none of the 4 .*de, es, fr, nl"):
        batch(0, wrong)


@pytest.mark.parametrize("ids", [torch.zeros(2, 2, dtype=torch.long), torch.zeros(2)])
def test_ids_that_are_no_vector_of_integers_are_refused(ids):
    with pytest.raises(RoutingError, match="expected one integer a row, found torch"):
        LanguageBatch(ids, LANGUAGES)


def test_a_batch_is_current_inside_its_block_only():
    routing = Routing(LANGUAGES)
    outer, inner = batch(0), batch(1)
    with routing.using(outer):
        with routing.using(inner):
            assert routing.batch("m") is inner
        assert routing.batch("m") is outer
    assert routing.current is None
    with pytest.raises(ValueError, match="stop"), routing.using(outer):
        raise ValueError("stop")
    with pytest.raises(
        RoutingError, match="fc1 needs to know the language .* came without lang_ids"
    ):
        routing.batch("fc1")


def test_routing_notes_modules_of_the_encoder():
    routing = Routing(LANGUAGES)
    routing.note("decoder.layers.0.fc1")
    assert not routing.in_encoder
    routing.note("encoder.layers.0.fc1")
    routing.note("decoder.layer_norm")
    assert routing.in_encoder


TAGS = (20, 21, 22, 23)


def refused(languages, tokens, tags):
    """Return whether these tags are refused for rows of these languages."""
    try:
        check_tags(languages, tokens, tags)
    except RoutingError:
        return True
    return False


def test_tags_that_fit_or_are_absent_pass():
    assert not refused(batch(0, 3, 1), torch.tensor([20, 23, 7]), TAGS)


def test_a_tag_of_another_language_is_named():
    with pytest.raises(RoutingError, match=r"row 1 .* lang_ids 3 \('nl'\), .* tag of 'es'"):
        check_tags(batch(0, 3), torch.tensor([20, 21]), TAGS)


def test_pairs_may_have_one_tag_and_some_have_none():
    assert not refused(batch(0, 1, 3), torch.tensor([20, 20, 7]), (20, 20, 21, None))
    with pytest.raises(RoutingError, match=r"row 1 .* lang_ids 3 \('nl'\), .* tag of 'fr'"):
        check_tags(batch(0, 3), torch.tensor([20, 21]), (20, 20, 21, None))
    assert not refused(batch(0, 3), torch.tensor([20, 21]), (None,) * 4)


def test_the_same_rows_keep_what_was_worked_out_for_them():
    routing = Routing(["de", "fr", "nl"])
    first = routing.languages_of(torch.tensor([0, 2, 1]))
    parts = first.partition((0, 0, 1), 3, "module")
    again = routing.languages_of(torch.tensor([0, 2, 1]))
    assert again.partition((0, 0, 1), 3, "module") is parts
    for ids, source_of in (([0, 1, 2], None), ([0, 2], None), ([0, 2, 1], torch.tensor([0, 0, 1]))):
        assert routing.languages_of(torch.tensor(ids), source_of) is not first


def test_rows_that_share_a_source_need_it_once():
    batch = LanguageBatch(
        torch.tensor([0, 1, 2, 1, 0]), ["de", "fr", "nl"], torch.tensor([0, 0, 0, 1, 1])
    )
    parts = batch.partition((0, 0, 1), 5, "module")
    assert [rows.tolist() for rows in parts.rows] == [[0, 1, 3, 4], [2]]
    assert [sources.tolist() for sources in parts.sources] == [[0, 1], [0]]
    assert [rows.tolist() for rows in parts.source_rows] == [[0, 0, 1, 1], [0]]
    # the groups' outputs, one after the other: source 0, source 1 | source 0
    assert parts.spread.tolist() == [0, 0, 2, 1, 1]
    assert parts.batches[0].source_of.tolist() == [0, 0, 1, 1]
