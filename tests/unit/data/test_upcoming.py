"""What is foreseen of batches to come against those that fairseq's iterators then give."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from fairseq.data import Dictionary, iterators
from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.data.batches import epoch_batches
from fairseq_gist.data.manifest import ManifestReader
from fairseq_gist.data.upcoming import UpcomingBatches
from tests.regression import make

DATA = Path(make.__file__).parent / "data" / "one_to_many"
LANGUAGES = ["de", "es", "ru"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = make.usable(DATA, tmp_path_factory.mktemp("upcoming") / "data")
    config = S2TDataConfig(folder / "config_st.yaml")
    dictionary = Dictionary.load(str(folder / "words.txt"))
    return ManifestReader(str(folder), config, dictionary, LANGUAGES, None, None, None, 1, "tgt")


def settings(update_freq, curriculum=0, **others):
    dataset = SimpleNamespace(curriculum=curriculum, **others)
    return SimpleNamespace(
        dataset=dataset, optimization=SimpleNamespace(update_freq=list(update_freq))
    )


def iterator_of(dataset, processes, process):
    return epoch_batches(
        dataset, lambda indices: indices, 400, 5, 1, seed=3, epoch=1,
        num_shards=processes, shard_id=process,
    )  # fmt: skip


def given(dataset, processes, update_freq, curriculum, epochs):
    """Return the languages of every update's batches in all processes, as fairseq goes on."""
    updates = []
    for process in range(processes):
        iterator, place = iterator_of(dataset, processes, process), 0
        for epoch in range(1, epochs + 1):
            batches = iterator.next_epoch_itr(shuffle=epoch > curriculum)
            freq = update_freq[min(epoch, len(update_freq)) - 1]
            for group in iterators.GroupedIterator(batches, freq):
                if len(updates) == place:
                    updates.append(set())
                for batch in filter(None, group):
                    updates[place] |= set(batch["net_input"]["lang_ids"].tolist())
                place += 1
    return updates


@pytest.mark.parametrize("kind", ["rows", "homogeneous", "multiway"])
@pytest.mark.parametrize(
    ("processes", "update_freq", "curriculum"),
    [(1, [1], 0), (2, [2], 0), (4, [3, 1], 1)],
)
def test_what_is_foreseen_comes(reader, kind, processes, update_freq, curriculum):
    how = {} if kind == "rows" else {kind: True}
    dataset = reader.read("train", is_train=True, **how)
    updates = given(dataset, processes, update_freq, curriculum, epochs=3)
    iterator = iterator_of(dataset, processes, 0)
    upcoming = UpcomingBatches.of(iterator, settings(update_freq, curriculum))
    start = {"now": 0, "epoch": 1, "consumed": 1}
    for update, expected in enumerate(updates, start=1):
        assert upcoming.languages(update, update, **start) == expected
    everything = upcoming.languages(1, len(updates), **start)
    assert everything == set().union(*updates) == {0, 1, 2}


def test_a_resumed_run_foresees_the_same(reader):
    dataset = reader.read("train", is_train=True, homogeneous=True)
    upcoming = UpcomingBatches.of(iterator_of(dataset, 2, 0), settings([2]))
    length = -(-len(upcoming.batches) // 2)
    an_epoch = -(-length // 2)
    for update in range(an_epoch, 3 * an_epoch):
        now, epoch, place = update, 1 + update // an_epoch, update % an_epoch
        consumed = min(length, 2 * place + 2)
        for ahead in (1, 2, an_epoch):
            own = upcoming.languages(
                update + ahead, update + ahead, now=now, epoch=epoch, consumed=consumed
            )
            start = {"now": 0, "epoch": 1, "consumed": 1}
            assert own == upcoming.languages(update + ahead, update + ahead, **start)


def test_what_can_not_be_foreseen_is_not(reader):
    iterator = iterator_of(reader.read("train", is_train=True), 1, 0)
    assert UpcomingBatches.of(iterator, settings([1])) is not None
    other = settings([1], update_ordered_indices_seed=True)
    assert UpcomingBatches.of(iterator, other) is None
