"""Gradients per language on a real model, against splitting the batch by language."""

import functools

import pytest
import torch

from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, module_at, select_units
from fairseq_gist.training.recorder import GradientRecorder
from fairseq_gist.training.window import watch_units
from tests.e2e.helpers import batch_of, build, random_plan


@pytest.fixture
def parts(data):
    task, model, criterion = build(data)
    model.eval()
    return task, model, criterion, batch_of(task, utterances=4)


def _recorded(task, model, criterion, sample, chosen):
    recorder = GradientRecorder(model, chosen, task.languages, 1, 1)
    watch_units(model, chosen.values(), model.routing)
    model.zero_grad()
    model.routing.sink = recorder
    criterion(model, sample)[0].backward()
    model.routing.sink = None
    ordinary = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return recorder._sums[0], ordinary


def _oracle(task, model, criterion, sample, chosen):
    """Each language's gradient, caught by hooks on the parameters in a pass over its rows."""
    result = {}
    ids = sample["net_input"]["lang_ids"]
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        part = {
            "target": sample["target"][rows],
            "ntokens": 1,
            "net_input": {key: value[rows] for key, value in sample["net_input"].items()},
        }
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


@pytest.mark.parametrize("split", [False, True], ids=["shared", "split at random"])
@pytest.mark.parametrize("pattern", [None, r"(en|de)coder\..*"], ids=["decoder", "every unit"])
def test_recorded_gradients_equal_those_of_the_split_batch(parts, split, pattern):
    task, model, criterion, sample = parts
    if split:
        apply_plan(model, random_plan(model, task.languages), model.routing)
    chosen = select_units(find_units(model), pattern)
    recorded, ordinary = _recorded(task, model, criterion, sample, chosen)
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
            error = (recorded[name][language] - expected).norm() / expected.norm().clamp(min=1e-12)
            worst = max(worst, error.item())
    assert worst < 1e-5, f"largest relative difference {worst}"

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
