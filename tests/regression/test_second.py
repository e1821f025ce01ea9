"""The files in ``second/``, read by this release: see README.md in this folder."""

import json
import shutil

import numpy as np
import pytest

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.host.optimizer import MASTERS_KEY
from fairseq_gist.sharing.plan import SharingPlan
from tests.regression import continued, make
from tests.regression import make_second as second
from tests.regression.test_files import HERE, assert_goes_on, scores

STACKS = [HERE / "second" / name for name in ("modern", "classic")]
NOW = continued.FOLDERS["second"]
"""Checkpoints are read on the stack that wrote them; other files on either."""

CHECKPOINTS = ("conformer.pt", "differentiated.pt", "half.pt", "window.pt")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    return [make.usable(second.DATA / one, folder / one) for one in ("one_to_many", "into_english")]


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_plans_and_statistics_mean_what_they_meant(stack):
    known = json.loads((stack / "expected.json").read_text(encoding="utf-8"))
    plans = {path.name: SharingPlan.load(path) for path in stack.glob("plans/*.json")}
    assert {name: plan.signature for name, plan in plans.items()} == known["plans"]
    assert set(plans) == {f"{name}.json" for name in second.DECIDED}
    assert all(SharingPlan.from_json(plan.to_json()) == plan for plan in plans.values())
    with np.load(stack / "expected.npz") as arrays:
        for name, signature in known["statistics"].items():
            found = GradientStatistics.load(stack / name)
            assert found.signature == signature
            now, then = found.cosines(), arrays[f"{name}.cosines"]
            assert (np.isnan(now) == np.isnan(then)).all()
            assert float(np.nanmax(np.abs(now - then), initial=0.0)) <= 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("name", second.DECIDED)
def test_policies_decide_as_they_did(tmp_path, name):
    second.decide(name, NOW, tmp_path / "plan.json")
    then = SharingPlan.load(NOW / "plans" / f"{name}.json")
    assert SharingPlan.load(tmp_path / "plan.json") == then


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_give_the_logits_they_gave(data, name):
    now = make.logits(NOW / name, second.data_of(name, *data))
    with np.load(NOW / "expected.npz") as arrays:
        then = arrays[f"{name}.logits"]
    most = float(np.abs(now - then).max())
    print(f"{name}: logits differ by {most}")  # noqa: T201
    # 0.0 on the processor that made them; sums round in another order on others
    assert most <= 1e-5 * float(np.abs(then).max())


@pytest.mark.slow
def test_a_run_stopped_in_its_window_goes_on_as_it_did(data, tmp_path):
    assert_goes_on("second", data[0], tmp_path)


@pytest.mark.slow
def test_masters_of_half_precision_are_there_and_go_on(data, tmp_path):
    from fairseq import checkpoint_utils

    shutil.copy(NOW / "half.pt", tmp_path / "checkpoint_last.pt")
    last = make.train(data[0], tmp_path, 8, *second.HALF)
    before, after = (
        checkpoint_utils.load_checkpoint_to_cpu(str(path))["last_optimizer_state"][MASTERS_KEY]
        for path in (NOW / "half.pt", last)
    )
    assert [one.shape for one in before] == [one.shape for one in after]
    assert any((one != two).any() for one, two in zip(before, after))


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_scores_are_read(stack, tmp_path):
    make.gist("score", f"then={stack / 'scores.json'}", "--output", tmp_path / "scores.json")
    assert scores(tmp_path / "scores.json") == scores(stack / "scores.json")
