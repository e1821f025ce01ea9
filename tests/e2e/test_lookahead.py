"""Losses after a step of one unit, against what gradients say of a small one."""

import pytest
import torch

from tests.scripts import script

lookahead = script("examples/evidence/lookahead.py")


@pytest.fixture(scope="module")
def model(train, data, tmp_path_factory):
    run = train(tmp_path_factory.mktemp("looked"), "--max-update=6")
    return lookahead.Model(str(run.checkpoint), str(data), "dev")


def test_a_small_step_is_worth_what_the_gradients_say(model):
    rate = 1e-3
    found = lookahead.lookahead(model, {"sgd": rate, "adam": 1e-6})
    before = {language: model.gradients(language) for language in model.halves}
    model.halves = {one: (second, first) for one, (first, second) in model.halves.items()}
    after = {language: model.gradients(language) for language in model.halves}
    model.halves = {one: (second, first) for one, (first, second) in model.halves.items()}
    units = lookahead.units_of(model)
    worst = 0.0
    for kind, weight in (
        ("sgd", lambda name: rate),
        ("adam", lambda name: 1e-6 / (model.squares[name].double().sqrt() + 1e-8)),
    ):
        expected = {}
        for unit, names in units.items():
            gains = []
            for name in names:
                own = torch.stack([before[one][name] for one in before]).double()
                apart = own - own.mean(0)
                seen = torch.stack([after[one][name] for one in after]).double()
                gains.append(float((apart * seen * weight(name)).sum()) / len(before))
            expected[unit] = sum(gains)
        largest = max(map(abs, expected.values()))
        for unit in units:
            worst = max(worst, abs(found[kind][unit] - expected[unit]) / largest)
    print(f"largest difference, relative to the largest worth: {worst:.1e}")  # noqa: T201
    assert worst < 0.05


def test_parameters_are_as_before(model):
    before = {name: value.detach().clone() for name, value in model.parameters.items()}
    with model.moved({"decoder.layer_norm.weight": torch.ones(1)}):
        assert not torch.equal(
            model.parameters["decoder.layer_norm.weight"], before["decoder.layer_norm.weight"]
        )
    assert all(torch.equal(model.parameters[name], value) for name, value in before.items())
