"""A run that is stopped and resumed against one that never was, bit for bit."""

import json
import logging
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import build

# 21 or so batches an epoch, two an update: the run ends in its second epoch
OPTIONS = [
    "--num-workers=1",
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
    from fairseq_gist.tasks.configuration import GistSpeechToTextConfig
    from fairseq_gist.tasks.gist_speech_to_text import GistSpeechToTextTask

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


def test_augmentation_does_not_depend_on_other_threads(data):
    """Without workers, fairseq loads training and validation rows in threads of one process."""
    task, _, _ = build(data)
    rows = task.reader().read("train", is_train=True)
    codes = [epoch * len(rows) + row for epoch in range(3) for row in range(len(rows))]
    alone = [rows[code].source for code in codes]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda code: rows[code].source, codes))
    finally:
        sys.setswitchinterval(interval)
    assert all((one == other).all() for one, other in zip(alone, together))


def test_a_moment_that_has_passed_is_told(train, tmp_path):
    train(tmp_path, "--max-update=5")
    with pytest.raises(SystemExit, match="the checkpoint, of update 5, was never split"):
        train(
            tmp_path, "--max-update=8", "--differentiate-at=4", "--gradient-window=4",
            "--gradient-chunks=4",
        )  # fmt: skip


def test_gradients_gathered_for_another_moment_are_dropped(train, tmp_path, caplog):
    window = ["--gradient-window=8", "--gradient-chunks=4", "--differentiate-by=shared"]
    first = train(tmp_path, "--max-update=5", "--differentiate-at=10", *window)
    assert first.load()["last_optimizer_state"]["gist_recording"]["moment"] == 10
    second = train(tmp_path, "--max-update=6", "--differentiate-at=18", *window)
    assert "half recorded gradients are dropped: they are of other moment" in caplog.text
    assert "gist_recording" not in second.load()["last_optimizer_state"]


@pytest.mark.parametrize(
    "schedule",
    [
        ["--lr-scheduler=fixed", "--warmup-updates=3"],
        ["--lr-scheduler=polynomial_decay", "--warmup-updates=3", "--total-num-update=50"],
        ["--lr-scheduler=reduce_lr_on_plateau"],
        ["--lr-scheduler=cosine", "--warmup-updates=3"],
    ],
    ids=lambda schedule: schedule[0].partition("=")[2],
)
def test_every_schedule_goes_on_after_a_split(train, tmp_path, schedule, caplog):
    """Learning rates over two epochs, split against not split."""
    rates = []
    for policy in ("gradient", "shared"):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="fairseq"):
            train(
                tmp_path / policy, "--max-update=16", "--differentiate-at=6",
                "--gradient-window=4", "--gradient-chunks=4", f"--differentiate-by={policy}",
                "--log-format=json", "--max-tokens=9000",
                recipe_changes=dict(option.split("=") for option in schedule),
                drop=["--warmup-updates", "--max-tokens"],
            )  # fmt: skip
        lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "train_inner"]
        rates.append([line["lr"] for line in lines])
    assert len(rates[0]) == 16
    assert lines[-1]["epoch"] > 1
    assert rates[0] == rates[1]


@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_a_last_checkpoint_that_a_kill_cut_off_is_passed_over(
    train, tmp_path, uninterrupted, caplog, left
):
    """It is left so where the process dies while it is copied from another one."""
    first = train(tmp_path, "--max-update=12", "--save-interval-updates=6", *OPTIONS)
    whole = first.checkpoint.read_bytes()
    first.checkpoint.write_bytes(whole[: int(left * len(whole))])
    caplog.clear()
    second = train(tmp_path, "--max-update=14", *OPTIONS)
    [told] = [one.getMessage() for one in caplog.records if "in the middle" in one.getMessage()]
    assert told == (
        f"{first.checkpoint} ends in the middle: a run was ended while it was written. Going on "
        f"from {tmp_path / 'checkpoint_1_12.pt'}, the newest checkpoint that is whole"
    )
    assert second.steps == uninterrupted.steps[-len(second.steps) :]
    assert_same_tensors(second.load()["model"], uninterrupted.load()["model"])


def test_what_a_kill_kept_from_being_removed_is_removed(train, tmp_path):
    """Of checkpoints of a number of updates, of epochs and of the best, the newest or best stay."""
    last = train(tmp_path, "--max-update=2").checkpoint
    kept = ["_1_8", "_1_7", "_2_10", "_1_5", "3", "4", ".best_loss_1.5000", ".best_loss_2.2500"]
    removed = ["_1_6", "2", ".best_loss_3.5001"]
    for name in kept + removed:
        shutil.copyfile(last, tmp_path / f"checkpoint{name}.pt")
    before = {one.name for one in tmp_path.iterdir()}
    options = [
        "--keep-interval-updates=2", "--keep-interval-updates-pattern=5", "--keep-last-epochs=2",
        "--keep-best-checkpoints=2",
    ]  # fmt: skip
    elsewhere = tmp_path.parent / f"{tmp_path.name}-of-another"
    train(elsewhere, "--max-update=2", f"--restore-file={last}", *options)
    assert {one.name for one in tmp_path.iterdir()} == before
    train(tmp_path, "--max-update=2", *options)
    assert before - {one.name for one in tmp_path.iterdir()} == {
        f"checkpoint{name}.pt" for name in removed
    }


def test_where_no_other_checkpoint_is_whole_the_run_does_not_begin_anew(train, tmp_path):
    first = train(tmp_path, "--max-update=1")
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        SystemExit, match=r"checkpoint_last.pt is damaged: .* remove it to begin anew"
    ):
        train(tmp_path, "--max-update=2")
    asked = f"--restore-file={tmp_path / 'mine.pt'}"
    (tmp_path / "mine.pt").write_bytes(first.checkpoint.read_bytes())
    with pytest.raises(SystemExit, match=r"mine.pt is damaged: it ends in the middle$"):
        train(tmp_path, "--max-update=2", asked)
    assert first.checkpoint.stat().st_size == 1000


def test_a_run_that_has_ended_makes_no_further_update(train, tmp_path):
    first = train(tmp_path, "--max-update=2")
    before = first.checkpoint.read_bytes()
    assert train(tmp_path, "--max-update=2").steps == []
    assert first.checkpoint.read_bytes() == before
    assert [step.update for step in train(tmp_path, "--max-update=3").steps] == [2]
