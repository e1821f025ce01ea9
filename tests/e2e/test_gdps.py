"""The gdps policy in real training: recorded hidden units, the split, resume, and the commands."""

import numpy as np
import pytest
import torch
from fairseq import checkpoint_utils

from fairseq_gist.cli.main import main as gist
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import find_units
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, rows_of
from tests.e2e.test_conformer import CONFORMER
from tests.e2e.test_source_side import KEY, UNTAGGED

FIRSTS = [f"encoder.conformer_layers.{layer}.ffn2.w_1" for layer in (0, 1)]
OPTIONS = [
    "--differentiate-at=10",
    "--differentiate-by=gdps",
    "--gdps-groups=each",
    "--gdps-shared=0.5",
    "--gradient-window=8",
    "--gradient-chunks=4",
    "--max-tokens=1500",
    "--dropout=0",
]


@pytest.fixture(scope="module")
def into_english(train, spoken):
    def run(folder, *extra):
        arguments = [str(spoken), KEY, UNTAGGED, *OPTIONS, *extra]
        return train(folder, *arguments, model=CONFORMER, replace_data=True)

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("gdps")


@pytest.fixture(scope="module")
def split(into_english, folder):
    """A run that divided the second feed-forward blocks of its encoder after 10 of 12 updates."""
    return into_english(
        folder, "--max-update=12", f"--save-gradient-statistics={folder / 'statistics.npz'}"
    )


def test_it_divides_the_second_feed_forward_blocks_of_the_encoder(split):
    plan = plan_in_state(split.load()["model"])
    assert list(plan.divisions) == FIRSTS
    assert {division.shared_fraction for division in plan.divisions.values()} == {0.5}
    each = (("de",), ("es",), ("ru",))
    owned = [unit for unit, groups in plan.units.items() if len(groups) > 1]
    assert owned == [unit for unit in plan.units if unit.endswith(".own")]
    assert {plan.units[unit] for unit in owned} == {each}
    assert plan.provenance["policy"] == "gdps"
    assert list(plan.blocks) == FIRSTS


def test_the_split_leaves_the_next_loss(into_english, split, tmp_path):
    watched = r"--units=encoder\..*ffn2\.w_[12]"
    shared = into_english(tmp_path, "--max-update=12", "--differentiate-by=shared", watched)
    assert shared.steps[:10] == split.steps[:10]
    difference = abs(shared.steps[10].loss - split.steps[10].loss)
    print(f"loss of the next batch: {split.steps[10].loss}, difference {difference}")  # noqa: T201
    assert difference <= 1e-6 * split.steps[10].loss
    assert shared.steps[11].loss != split.steps[11].loss


def test_the_split_leaves_the_function_of_a_trained_model(into_english, split, spoken, tmp_path):
    trained = into_english(tmp_path, "--max-update=9").load()["model"]
    task, model, _ = build(spoken, KEY, UNTAGGED, model=CONFORMER)
    model.load_state_dict(trained, strict=True)
    sample = batch_of(task, utterances=24)
    with torch.no_grad():
        before = model.eval()(**sample["net_input"])[0]
        apply_plan(model, plan_in_state(split.load()["model"]), model.routing)
        after = model.eval()(**sample["net_input"])[0]
    largest = (after - before).abs().max() / before.abs().max()
    print(f"largest difference of a logit, of the largest logit: {largest}")  # noqa: T201
    assert 0 < largest <= 1e-6


@pytest.mark.parametrize("stop", [6, 11], ids=["inside the window", "after the split"])
def test_resumed_equals_uninterrupted(into_english, split, tmp_path, stop):
    first = into_english(tmp_path, f"--max-update={stop}")
    second = into_english(tmp_path, "--max-update=12")
    assert first.steps + second.steps == split.steps
    assert_same_tensors(second.load()["model"], split.load()["model"])


def test_products_of_hidden_units_add_up_to_those_of_the_block(split, folder):
    statistics = GradientStatistics.load(folder / "statistics.npz")
    assert list(statistics.neurons) == FIRSTS
    for first, hidden in statistics.neurons.items():
        whole = statistics.select([first, hidden.second]).gram.sum(axis=0)
        without_bias = hidden.gram.astype(np.float64).sum(axis=0)
        bias = whole - without_bias
        assert np.linalg.eigvalsh(bias).min() > -1e-5 * np.trace(whole)  # itself a Gram matrix
        assert np.trace(without_bias) > 0.5 * np.trace(whole)


def test_gradients_of_hidden_units_equal_those_of_the_split_batch(spoken):
    task, model, criterion = build(spoken, KEY, UNTAGGED, model=CONFORMER)
    model.eval()
    sample = batch_of(task, utterances=24)
    units = {
        name: unit
        for name, unit in find_units(model).items()
        if name in FIRSTS or name.replace("w_2", "w_1") in FIRSTS
    }
    recorder = GradientRecorder(model, units, task.languages, RecordingOptions(1), neurons=True)
    recording(model, units.values(), model.routing)
    ids = sample["net_input"]["lang_ids"]
    counts = torch.bincount(ids, minlength=3)
    model.routing.sink = recorder
    recorder.count_tokens(counts)
    criterion(model, sample)[0].backward()
    model.routing.sink = None
    recorder.finish_update()
    hidden = recorder.statistics(1).neurons
    worst = 0.0
    for first, own in hidden.items():
        probes = []
        for language in range(3):
            model.zero_grad()
            criterion(model, rows_of(sample, (ids == language).nonzero().flatten()))[0].backward()
            parameters = dict(model.named_parameters())
            weight, bias = (parameters[f"{first}.{name}"].grad for name in ("weight", "bias"))
            columns = parameters[f"{own.second}.weight"].grad.t()
            probes.append(torch.cat([weight, bias[:, None], columns], dim=1) / counts[language])
        vectors = torch.stack(probes).double()  # [languages, hidden, parameters]
        oracle = torch.einsum("phi,qhi->hpq", vectors, vectors).numpy()
        worst = max(worst, np.abs(own.gram - oracle).max() / np.abs(oracle).max())
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (["--sketch-dim=64"], "--sketch-dim: 'gdps' reads the gradients of single neurons"),
        (
            ["--gdps-shared=1.5"],
            "gdps-shared: expected continuous, steps or a share between",
        ),
        (["--gdps-groups=9"], "--gdps-groups: expected no more groups than the"),
        (["--gdps-groups=1"], "--gdps-groups: expected clusters, each or a number"),
        (
            ["--gdps-own=both"],
            "--gdps-own: expected one of directions, agreem",
        ),
        ([r"--units=encoder\..*ffn2\.w_1"], "the two projections of a feed-forward block"),
    ],
)
def test_wrong_options_are_told_before_training(into_english, tmp_path, wrong, named):
    with pytest.raises(SystemExit) as error:
        into_english(tmp_path, "--max-update=12", *wrong)
    assert named in str(error.value)
    assert not list(tmp_path.glob("*.pt"))


def test_the_commands_record_decide_and_apply(split, spoken, tmp_path, capsys):
    shared, statistics, out = tmp_path / "shared.pt", tmp_path / "s.npz", tmp_path / "out.pt"
    export = ["export", str(split.checkpoint), "--language", "de", "-o", str(shared)]
    assert gist(export) == 0, capsys.readouterr().err
    record = ["record", str(split.checkpoint), str(spoken), "--cpu", "--gradient-chunks=4"]
    assert gist([*record, "--neurons", "-o", str(statistics)]) == 1
    assert "feed-forward block that isn't divided yet" in capsys.readouterr().err
    record = [
        "record",
        str(shared),
        str(spoken),
        "--cpu",
        "--gradient-chunks=4",
        KEY,
        "--subset=dev",
    ]
    assert gist([*record, "--neurons", "-o", str(statistics)]) == 0, capsys.readouterr().err
    plans = {}
    for name, options in (
        ("gdps", ["--gdps-groups=2", "--gdps-shared=0.75", "--gdps-own=agreement"]),
        ("gdps-random", ["--gdps-groups=2", "--gdps-shared=0.75", "--plan-seed=3"]),
    ):
        path = str(tmp_path / f"{name}.json")
        command = ["plan", name, "--statistics", str(statistics), *options, "-o", path]
        assert gist(command) == 0, capsys.readouterr().err
        capsys.readouterr()
        assert gist(["apply", str(shared), path, KEY, "-o", str(out)]) == 0
        plans[name] = SharingPlan.load(path)
        state = checkpoint_utils.load_checkpoint_to_cpu(str(out))["model"]
        assert parameters_in_state(state) == plans[name].parameters
    one, other = plans.values()
    assert one.parameters == other.parameters
    assert one.divisions.keys() == other.divisions.keys()
    assert one.divisions != other.divisions
