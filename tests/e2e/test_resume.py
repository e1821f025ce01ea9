"""A run that is stopped and resumed against one that never was, bit for bit."""

import pytest

from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors

# 21 or so batches an epoch, two an update: the run ends in its second epoch
OPTIONS = [
    "--update-freq=2",
    "--differentiate-at=10",
    "--gradient-window=8",
    "--gradient-chunks=4",
    "--differentiate-by=gradient",
]


@pytest.fixture(scope="module")
def uninterrupted(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), "--max-update=14", *OPTIONS)


@pytest.mark.parametrize(
    "stop", [5, 12], ids=["before the split, in the middle of a window", "after the split"]
)
def test_resumed_equals_uninterrupted(train, tmp_path, uninterrupted, stop):
    first = train(tmp_path, f"--max-update={stop}", *OPTIONS)
    recorded = first.load()["last_optimizer_state"].get("gist_recording")
    if stop == 5:
        assert recorded["updates"] == 3
    assert first.load()["extra_state"]["train_iterator"]["iterations_in_epoch"] > 0
    second = train(tmp_path, "--max-update=14", *OPTIONS)

    assert first.steps + second.steps == uninterrupted.steps
    resumed, whole = second.load(), uninterrupted.load()
    assert plan_in_state(resumed["model"]) == plan_in_state(whole["model"])
    assert_same_tensors(resumed["model"], whole["model"])
    ours, theirs = (one["last_optimizer_state"]["state"] for one in (resumed, whole))
    assert list(ours) == list(theirs)
    for parameter, state in ours.items():
        assert_same_tensors(state, theirs[parameter])


def test_augmentation_does_not_depend_on_the_order_of_loading(data):
    from fairseq_gist.tasks.gist_speech_to_text import (
        GistSpeechToTextConfig,
        GistSpeechToTextTask,
    )

    config = GistSpeechToTextConfig(
        data=str(data), config_yaml="config_st.yaml", seed=1, train_subset="train"
    )
    task = GistSpeechToTextTask.setup_task(config)
    task.load_dataset("train")
    rows = task.datasets["train"]
    in_epoch_2 = 2 * len(rows) + 7
    once = rows[in_epoch_2].source
    rows[3]
    again = rows[in_epoch_2].source
    other_epoch = rows[3 * len(rows) + 7].source
    assert (once == again).all()
    assert not (once == other_epoch).all()
