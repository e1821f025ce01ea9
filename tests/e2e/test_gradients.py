"""Gradients per language on a real model, against splitting the batch by language."""

import errno
import functools

import numpy as np
import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.sketch import cosine_error, prime_from
from fairseq_gist.recording.watching import recording
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.units import find_units, module_at, select_units
from tests.e2e.helpers import batch_of, build, random_plan, rows_of


@pytest.fixture
def parts(data):
    task, model, criterion = build(data)
    model.eval()
    return task, model, criterion, batch_of(task, utterances=4)


def _recorded(task, model, criterion, sample, chosen):
    recorder = GradientRecorder(model, chosen, task.languages, RecordingOptions(1))
    recording(model, chosen.values(), model.routing)
    model.zero_grad()
    model.routing.sink = recorder
    criterion(model, sample)[0].backward()
    model.routing.sink = None
    recorder.finish_update()
    ordinary = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return recorder._sums[0], ordinary


def _oracle(task, model, criterion, sample, chosen):
    """Each language's gradient, caught by hooks on the parameters in a pass over its rows."""
    result = {}
    ids = sample["net_input"]["lang_ids"]
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        part = rows_of(sample, rows, task.target_dictionary.pad())
        caught = result[language] = {}
        handles = [
            parameter.register_hook(functools.partial(caught.__setitem__, name))
            for name, parameter in model.named_parameters()
        ]
        model.zero_grad()
        criterion(model, part)[0].backward()
        for handle in handles:
            handle.remove()
    return result


def compare_with_oracle(task, model, criterion, sample, pattern):
    """Return the largest relative difference of any language's gradient on any unit."""
    chosen = select_units(find_units(model), pattern)
    recorded, _ = _recorded(task, model, criterion, sample, chosen)
    oracle = _oracle(task, model, criterion, sample, chosen)
    worst = 0.0
    for name, unit in chosen.items():
        for language in range(len(task.languages)):
            expected = []
            for path in unit.paths:
                module = module_at(model, path)
                copy = f"copies.{module.group_of[language]}." if hasattr(module, "copies") else ""
                leaf = module_at(module, copy[:-1]) if copy else module
                for part, parameter in leaf.named_parameters(recurse=False):
                    gradient = oracle[language].get(f"{path}.{copy}{part}")
                    missing = torch.zeros_like(parameter)
                    expected.append((missing if gradient is None else gradient).flatten())
            expected = torch.cat(expected)
            own = recorded[name][language].to(expected.device)
            error = (own - expected).norm() / expected.norm().clamp(min=1e-12)
            worst = max(worst, error.item())
    return worst


@pytest.mark.parametrize("split", [False, True], ids=["shared", "split at random"])
@pytest.mark.parametrize("pattern", [None, r"(en|de)coder\..*"], ids=["decoder", "every unit"])
def test_recorded_gradients_equal_those_of_the_split_batch(parts, split, pattern):
    task, model, criterion, sample = parts
    if split:
        apply_plan(model, random_plan(model, task.languages), model.routing)
    worst = compare_with_oracle(task, model, criterion, sample, pattern)
    assert worst < 1e-5, f"largest relative difference {worst}"

    chosen = select_units(find_units(model), pattern)
    recorded, ordinary = _recorded(task, model, criterion, sample, chosen)
    if not split:
        for name, unit in chosen.items():
            leaf = module_at(model, unit.paths[0])
            total = torch.cat(
                [
                    ordinary[f"{name}.{part}"].flatten()
                    for part, _ in leaf.named_parameters(recurse=False)
                ]
            )
            error = (recorded[name].sum(0) - total).norm() / total.norm().clamp(min=1e-12)
            assert error < 1e-5, f"{name}: the languages' sum differs by {error}"


@pytest.mark.parametrize("dim", [64, 512])
def test_cosines_of_sketches_err_as_predicted(differentiated, data, tmp_path, dim, capsys):
    """The gradients of held-out data, sketched against whole; norms are kept whole in both."""
    found = []
    for name, extra in (("exact", []), ("sketched", ["--sketch-dim", str(dim)])):
        out = tmp_path / f"{name}.npz"
        command = [
            "record",
            str(differentiated.checkpoint),
            str(data),
            "--cpu",
            "--gradient-chunks=4",
        ]
        assert gist([*command, *extra, "-o", str(out)]) == 0, capsys.readouterr().err
        found.append(GradientStatistics.load(out))
    exact, sketched = found
    assert sketched.provenance["sketch_dim"] == dim
    width = prime_from(dim)
    small = exact.unit_parameters <= width
    assert small.any()
    assert not small.all()
    assert (sketched.gram[small] == exact.gram[small]).all()

    above = np.triu_indices(len(exact.languages), k=1)
    cosines = exact.cosines(debiased=False)[~small][:, above[0], above[1]]
    errors = sketched.cosines(debiased=False)[~small][:, above[0], above[1]] - cosines
    error = np.sqrt(np.mean(errors**2))
    predicted = np.sqrt(np.mean(np.vectorize(cosine_error)(cosines, width) ** 2))
    told = f"error {error:.4f}, predicted {predicted:.4f}, largest {abs(errors).max():.4f}"
    print(f"--sketch-dim {dim}: {told}")  # noqa: T201
    assert error < 3 * predicted, told


def test_gradients_gathered_in_other_sketches_are_dropped(train, tmp_path, caplog):
    options = [
        "--differentiate-at=12", "--gradient-window=8", "--gradient-chunks=4",
        "--statistics-device=model",
    ]  # fmt: skip
    first = train(tmp_path, "--max-update=6", "--sketch-dim=64", *options)
    recorded = first.load()["last_optimizer_state"]["gist_recording"]
    assert {held.shape[1] for sums in recorded["sums"] for held in sums.values()} == {64, 67}
    second = train(tmp_path, "--max-update=7", "--sketch-dim=128", *options)
    assert "half recorded gradients are dropped: they are of other sketch_dim" in caplog.text
    assert "gist_recording" not in second.load()["last_optimizer_state"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--sketch-dim=3", "at least 64 are needed"),
        ("--statistics-device=gpu", "one of cpu, model"),
    ],
)
def test_useless_storage_is_refused(differentiated, data, train, tmp_path, capsys, option, message):
    with pytest.raises(SystemExit, match=message):
        train(tmp_path / "run", "--max-update=2", option)
    out = tmp_path / "statistics.npz"
    assert gist(["record", str(differentiated.checkpoint), str(data), option, "-o", str(out)]) == 1
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert not out.exists()


def test_a_full_disk_does_not_end_a_run_at_its_split(train, tmp_path, monkeypatch, caplog):
    def save(self, path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(GradientStatistics, "save", save)
    run = train(
        tmp_path, "--max-update=5", "--differentiate-at=4", "--gradient-window=4",
        "--gradient-chunks=4", f"--save-gradient-statistics={tmp_path / 'statistics.npz'}",
    )  # fmt: skip
    assert not plan_in_state(run.load()["model"]).is_shared
    assert "statistics.npz wasn't written: [Errno 28] No space left on device" in caplog.text


def test_a_trainer_that_stays_unknown_is_told(data):
    """Where other code has put back what was wrapped, a run must not end as if all went well."""
    task, model, criterion = build(data, "--differentiate-at=8")
    with pytest.raises(SystemExit, match="no trainer has made itself known to the task"):
        task.train_step(batch_of(task, utterances=1), model, criterion, None, 0)
