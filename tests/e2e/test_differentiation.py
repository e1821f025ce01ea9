"""A model that differentiates while it trains."""

import pytest

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state

WINDOW = ["--gradient-window=4", "--gradient-chunks=4"]


def test_the_next_batch_does_not_notice_the_split(train, tmp_path, differentiated):
    without = train(
        tmp_path, "--max-update=8", "--differentiate-at=6", "--differentiate-by=shared", *WINDOW
    )
    split = {step.update: step.loss for step in differentiated.steps}
    shared = {step.update: step.loss for step in without.steps}
    until_next = {update: split[update] - shared[update] for update in range(7)}
    assert set(until_next.values()) == {0.0}, f"differences: {until_next}"
    assert split[7] != shared[7], "the runs should part after the first step of the split model"


def test_the_plan_fits_the_budget_and_the_statistics(differentiated):
    state = differentiated.load()["model"]
    plan = plan_in_state(state)
    statistics = GradientStatistics.load(differentiated.folder / "statistics.npz")
    assert set(statistics.chunks_per_language.values()) == {4}
    assert not plan.is_shared
    total = parameters_in_state(state)
    assert total == plan.parameters
    assert total <= 2.0 * statistics.shared_parameters
    assert "decoder.layer_norm" in plan.units


def test_a_second_differentiation_only_splits_further(train, tmp_path):
    run = train(
        tmp_path,
        "--max-update=9",
        "--differentiate-at=4,8",
        "--size-budget=1.2,1.8",
        "--save-interval-updates=5",
        f"--save-gradient-statistics={tmp_path / 's.npz'}",
        *WINDOW,
    )
    first = plan_in_state(_model(tmp_path / "checkpoint_1_5.pt"))
    second = plan_in_state(run.load()["model"])
    assert second != first
    assert second.refines(first)
    assert not first.refines(second)
    assert (tmp_path / "s-4.npz").is_file()
    assert (tmp_path / "s-8.npz").is_file()


def test_gradients_from_held_out_data(train, tmp_path):
    run = train(
        tmp_path,
        "--max-update=3",
        "--differentiate-at=2",
        "--gradients-from=multiway",
        "--gradient-chunks=4",
        f"--save-gradient-statistics={tmp_path / 's.npz'}",
    )
    statistics = GradientStatistics.load(tmp_path / "s.npz")
    assert statistics.provenance["gradients_from"] == "multiway"
    assert not plan_in_state(run.load()["model"]).is_shared


def test_measuring_held_out_gradients_leaves_training_alone(train, tmp_path):
    common = ["--max-update=4", "--differentiate-at=2", "--differentiate-by=shared"]
    held_out = train(tmp_path / "held", *common, "--gradients-from=multiway", "--gradient-chunks=4")
    plain = train(tmp_path / "plain", "--max-update=4")
    assert held_out.steps == plain.steps


@pytest.mark.parametrize("batches", ["--multiway-batches", "--homogeneous-batches"])
def test_other_ways_to_make_batches(train, tmp_path, batches):
    run = train(
        tmp_path,
        "--max-update=40" if "homog" in batches else "--max-update=6",
        "--differentiate-at=34" if "homog" in batches else "--differentiate-at=5",
        batches,
        "--gradient-chunks=4",
        "--gradient-window=32" if "homog" in batches else "--gradient-window=4",
    )
    assert not plan_in_state(run.load()["model"]).is_shared


def _model(path):
    from fairseq import checkpoint_utils

    return checkpoint_utils.load_checkpoint_to_cpu(str(path))["model"]


ANEW = ["--gradient-window=4", "--gradient-chunks=4", "--reset-optimizer", "--reset-dataloader"]


def test_a_model_is_not_differentiated_again_because_updates_count_anew(
    train, differentiated, tmp_path, caplog
):
    """The same options, with the optimizer reset: the moment comes a second time."""
    again = [f"--restore-file={differentiated.checkpoint}", *ANEW, "--reset-meters"]
    with pytest.raises(
        SystemExit,
        match=r"--differentiate-at 6: the checkpoint's model was differentiated after update 6 "
        r"already \(plan \w+\), and updates count anew from 0, .* leave the option out to train",
    ):
        train(tmp_path / "again", *again, "--differentiate-at=6", "--max-update=8")
    caplog.clear()
    further = train(tmp_path / "further", *again, "--differentiate-at=5", "--max-update=5")
    assert "It will be split further then" in caplog.text
    before = plan_in_state(differentiated.load()["model"])
    assert plan_in_state(further.load()["model"]).refines(before)
