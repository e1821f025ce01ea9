"""The batches of an epoch, in a run that comes to it and in one that begins with it."""

from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary
from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.data.batches import epoch_batches
from fairseq_gist.data.manifest import ManifestReader
from tests.regression import make

DATA = Path(make.__file__).parent / "data" / "one_to_many"
LANGUAGES = ["de", "es", "ru"]
MASKED = """
specaugment:
  {freq_mask_F: 3, freq_mask_N: 2, time_mask_N: 2, time_mask_T: 9, time_mask_p: 1, time_wrap_W: 0}
transforms: {_train: [specaugment]}
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = make.usable(DATA, tmp_path_factory.mktemp("batches") / "data")
    with (folder / "config_st.yaml").open("a", encoding="utf-8") as file:
        file.write(MASKED)
    config = S2TDataConfig(folder / "config_st.yaml")
    dictionary = Dictionary.load(str(folder / "words.txt"))
    return ManifestReader(str(folder), config, dictionary, LANGUAGES, None, None, None, 1, "tgt")


def iterator_of(dataset, epoch, **options):
    return epoch_batches(
        dataset, lambda indices: indices, 4000, 5, 1, seed=3, epoch=epoch, **options
    )


def rows_of(batches):
    """Return row -> features `[frames, features]`, as they are augmented."""
    return {
        int(row): features.numpy()
        for batch in batches
        for row, features in zip(batch["id"], batch["net_input"]["src_tokens"])
    }


def difference(one, other):
    assert list(one) == list(other)
    return max(float(np.abs(one[row] - other[row]).max()) for row in one)


@pytest.mark.parametrize("kind", ["rows", "multiway"])
@pytest.mark.parametrize("reuses", [False, True], ids=["", "one data loader"])
@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_an_epoch_is_augmented_the_same_wherever_a_run_begins(reader, kind, reuses, resumed):
    dataset = reader.read("train", True, multiway=kind == "multiway")
    through = iterator_of(dataset, 1, reuse_dataloader=reuses)
    epochs = []
    for _ in range(3):
        place = through.state_dict() if epochs else {}
        epochs.append(rows_of(through.next_epoch_itr()))
    starting = iterator_of(dataset, 3, reuse_dataloader=reuses)
    if resumed:
        starting.load_state_dict(place)
    found = difference(rows_of(starting.next_epoch_itr()), epochs[2])
    print(f"{kind}: features differ by {found}")  # noqa: T201
    assert found == 0.0
    ordered = [dict(sorted(epoch.items())) for epoch in epochs]
    assert difference(ordered[0], ordered[1]) > 0
    assert difference(ordered[1], ordered[2]) > 0
