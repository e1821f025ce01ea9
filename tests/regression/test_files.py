"""Files that an earlier release wrote, read by this one: see README.md in this folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fairseq_gist.architectures import recognise
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.sharing.plan import SharingPlan
from tests.regression import continued, make
from tests.regression.continued import tensors

HERE = Path(__file__).parent
OURS = continued.FOLDERS["first"]
"""Checkpoints are read on the stack that wrote them; other files on either."""

STACKS = [HERE / "modern", HERE / "classic"]
CHECKPOINTS = sorted(path.name for path in OURS.glob("*.pt"))
STATISTICS = ("neurons.npz", "sketch.npz", "training.npz", "whole.npz")
_HALF = ["--gdps-groups=each", "--gdps-shared=0.5"]
DECIDED = {
    "gradient": ["gradient", "--statistics=whole.npz", "--size-budget=1.5"],
    "bipartition": ["bipartition", "--statistics=whole.npz"],
    "random": ["random", "--checkpoint=shared.pt", "--languages=de,es,ru", "--size-budget=1.5"],
    "attention": ["attention", "--checkpoint=shared.pt", "--languages=de,es,ru"],
    "encoder-only": ["encoder-only", "--checkpoint=shared.pt", "--languages=de,es,ru"],
    "gdps": ["gdps", "--statistics=neurons.npz", *_HALF],
    "chance": ["gdps-random", "--statistics=neurons.npz", *_HALF],
    "further": ["random", "--checkpoint=differentiated.pt", "--size-budget=2.5"],
}


def known(stack):
    return json.loads((stack / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The two data sets, in a folder that they know."""
    folder = tmp_path_factory.mktemp("regression")
    for name in ("one_to_many", "into_english"):
        make.usable(HERE / "data" / name, folder / name)
    return folder


def is_undetermined(key):
    """Return whether a parameter is moved by nothing but how sums are rounded.

    A key's bias adds the same to every score of a softmax: its gradient is zero, but for the
    rounding, and Adam divides that by its own size. Where it goes is up to the processor.
    """
    return "k_proj" in key and key.endswith(".bias")


def difference(one, other, leave_out=lambda key: False):
    """Return by how much two mappings of tensors differ; floats that nobody initialises left out.

    The plan's bytes say which release wrote them, and are compared as plans.
    """
    assert list(one) == list(other)
    own = recognise(map(str, one))
    most = 0.0
    for key, tensor in one.items():
        unused = own.is_unused(str(key)) or str(key).endswith(("_float_tensor", "gist_plan"))
        if not (unused or leave_out(str(key))) and hasattr(tensor, "shape"):
            assert tensor.shape == other[key].shape, key
            most = max(most, (tensor.double() - other[key].double()).abs().max().item())
    return most


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_plans_mean_what_they_meant(stack):
    read = {path.name: SharingPlan.load(path) for path in sorted(stack.glob("plans/*.json"))}
    assert {name: plan.signature for name, plan in read.items()} == known(stack)["plans"]
    for plan in read.values():
        again = SharingPlan.from_json(plan.to_json())
        assert again == plan
        assert again.signature == plan.signature


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_say_what_they_said(stack, name):
    found = GradientStatistics.load(stack / name)
    assert found.signature == known(stack)["statistics"][name]
    with np.load(stack / "expected.npz") as arrays:
        stem = name.partition(".")[0]
        for key, now in (
            ("cosines", found.cosines()),
            ("plain", found.cosines(debiased=False)),
            ("self", found.self_similarity()),
        ):
            then = arrays[f"{stem}.{key}"]
            assert (np.isnan(then) == np.isnan(now)).all()
            most = float(np.nanmax(np.abs(then - now), initial=0.0))
            print(f"{stack.name}/{name}: {key} differ by {most}")  # noqa: T201
            assert most <= 1e-12
        assert (arrays[f"{stem}.signal"] == found.is_signal()).all()


@pytest.mark.parametrize("name", DECIDED)
def test_policies_decide_as_they_did(tmp_path, name):
    command = [
        f"{option}={OURS / value}" if option in ("--statistics", "--checkpoint") else word
        for word in DECIDED[name]
        for option, _, value in [word.partition("=")]
    ]
    make.gist("plan", *command, "-o", tmp_path / "plan.json")
    then = SharingPlan.load(OURS / "plans" / f"{name}.json")
    assert SharingPlan.load(tmp_path / "plan.json") == then


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_give_the_logits_they_gave(data, name):
    of = "into_english" if name.startswith("conformer") else "one_to_many"
    now = make.logits(OURS / name, data / of)
    with np.load(OURS / "expected.npz") as arrays:
        then = arrays[f"{name.partition('.')[0]}.logits"]
    most = float(np.abs(now - then).max())
    print(f"{name}: logits differ by {most}")  # noqa: T201
    # 0.0 on the processor that made them; sums round in another order on others
    assert most <= 1e-5 * float(np.abs(then).max())


def test_a_run_stopped_in_its_window_goes_on_as_it_did(data, tmp_path):
    assert_goes_on("first", data / "one_to_many", tmp_path)


def assert_goes_on(which, data, save):
    """Assert that a run comes to the plan, parameters and moments that it came to."""
    import torch

    from fairseq_gist.surgery.plan_buffer import plan_in_state

    model, moments = continued.tensors(continued.go_on(which, data, save))
    then = torch.load(str(continued.kept(which)))
    assert plan_in_state(model) == plan_in_state(then["model"])
    most = difference(model, then["model"], leave_out=is_undetermined)
    assert list(moments) == list(then["moments"])
    most = max([most, *(difference(moments[key], then["moments"][key]) for key in moments)])
    print(f"parameters and moments after nine more updates and two splits differ by {most}")  # noqa: T201
    assert most <= 1e-6


def test_averages_and_exports_are_those_of_then(tmp_path):
    pair = [OURS / "differentiated.pt", OURS / "later.pt"]
    make.gist("average", *pair, "-o", tmp_path / "average.pt")
    make.gist("export", pair[0], "--language=de", "-o", tmp_path / "german.pt")
    for name in ("average.pt", "german.pt"):
        assert difference(tensors(tmp_path / name)[0], tensors(OURS / name)[0]) == 0.0


@pytest.mark.parametrize("name", ["differentiated.pt", "conformer.pt", "adapters.pt"])
def test_the_plan_in_a_checkpoint_is_shown(name):
    from fairseq_gist.surgery.plan_buffer import plan_in_state

    plan = plan_in_state(tensors(OURS / name)[0])
    assert plan is not None
    assert f"plan {plan.signature}" in make.gist("show", OURS / name)


def scores(path):
    """Return BLEU and chrF of every language, whichever schema the file has."""
    system = json.loads(path.read_text(encoding="utf-8"))["systems"][0]
    if "metrics" not in system:
        return {name: system[name] for name in ("bleu", "chrf")}
    return {name: system["metrics"][name]["scores"] for name in ("bleu", "chrf")}


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack.name)
def test_scores_are_read(stack, tmp_path):
    make.gist("score", f"then={stack / 'scores.json'}", "--output", tmp_path / "scores.json")
    assert scores(tmp_path / "scores.json") == scores(stack / "scores.json")


def test_translations_score_as_they_did(data, tmp_path):
    (tmp_path / "then").mkdir()
    shutil.copy(OURS / "generate-dev.txt", tmp_path / "then")
    command = [f"then={tmp_path / 'then'}", "--data", data / "one_to_many", "--subset=dev"]
    make.gist("score", *command, "--output", tmp_path / "scores.json")
    assert scores(tmp_path / "scores.json") == scores(OURS / "scores.json")


def test_translations_are_those_of_then(data, tmp_path):
    arguments = [*make.GENERATE, "--gen-subset=dev", f"--results-path={tmp_path}"]
    make.fairseq(
        "generate", data / "one_to_many", *arguments, f"--path={OURS / 'differentiated.pt'}"
    )  # fmt: skip

    def words(path):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line.split("\t")[::2] for line in lines if line.startswith("H-")]

    assert words(tmp_path / "generate-dev.txt") == words(OURS / "generate-dev.txt")


def test_what_wrote_them_is_kept():
    """``make.py`` is the command of then: what it can't import any more, it needn't."""
    assert subprocess.run(
        [sys.executable, str(HERE / "make.py"), "--help"], capture_output=True, check=True
    ).stdout
