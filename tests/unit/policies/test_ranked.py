"""Splits in the order of a file."""

import json

import pytest

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan
from tests.unit.made_up import LANGUAGES, SHARED, shape_of_sizes

UNITS = {f"decoder.layers.0.{name}": size for name, size in (("fc1", 100), ("fc2", 200))}
UNITS.update({"decoder.layers.1.fc1": 100, "decoder.layers.1.fc2": 50})


@pytest.fixture
def split(tmp_path):
    """Return the units that are split by some worths, in short."""

    def split(content, budget="1.1"):
        path = tmp_path / "worth.json"
        path.write_text(
            content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
        )
        situation = Situation(shape_of_sizes(list(LANGUAGES), UNITS, SHARED))
        plan = decide("ranked", situation, unit_worth=str(path), size_budget=budget)
        assert plan.parameters <= round(SHARED * float(budget))
        assert all(len(groups) in (1, len(LANGUAGES)) for groups in plan.units.values())
        return {unit[15:] for unit, groups in plan.units.items() if len(groups) > 1}

    return split


def worth(**values):
    return {f"decoder.layers.{name[1]}.{name[2:]}": value for name, value in values.items()}


def test_the_most_for_its_parameters_goes_first(split):
    both = worth(l0fc1=3.0, l0fc2=5.0, l1fc1=1.0, l1fc2=1.6)
    assert split(both, "1.06") == {"0.fc1", "1.fc2"}  # 400 and 200 of 600
    assert split(both, "1.05") == {"1.fc2"}  # for the others 300 are too few
    assert split(both, "1.14") == {"0.fc1", "0.fc2", "1.fc2"}
    assert split(both, "2.0") == {"0.fc1", "0.fc2", "1.fc1", "1.fc2"}


def test_what_does_not_fit_makes_room_for_what_does(split):
    assert split(worth(l0fc2=9.0, l1fc2=0.1), "1.03") == {"1.fc2"}


def test_what_is_worth_nothing_stays_shared(split):
    assert split(worth(l0fc1=0.0, l0fc2=-1.0, l1fc2=0.5), "2.0") == {"1.fc2"}


@pytest.mark.parametrize(("content", "message"), [
    ("{", "expected JSON such as .* found no JSON"),
    ("[1]", "found something else"),
    ("{}", "found something else"),
    ({"decoder.layers.0.fc1": "1"}, "'decoder.layers.0.fc1': expected a number, found '1'"),
    ({"decoder.layers.0.fc1": True}, "expected a number, found True"),
    ('{"decoder.layers.0.fc1": NaN}', "expected a number, found nan"),
    ({"encoder.fc1": 1}, "'encoder.fc1' is none of the 4 units"),
])  # fmt: skip
def test_files_that_say_something_else(split, content, message):
    with pytest.raises(DataError, match=message):
        split(content)


def test_what_is_split_already_counts(tmp_path):
    (tmp_path / "worth.json").write_text(json.dumps(worth(l1fc2=1.0)), encoding="utf-8")
    shape = shape_of_sizes(list(LANGUAGES), {**UNITS, "encoder.layers.0.fc1": 100}, SHARED)
    apart = [[language] for language in LANGUAGES]
    within = SharingPlan(LANGUAGES, {"encoder.layers.0.fc1": apart}, {"encoder.layers.0.fc1": 100})
    situation = Situation(shape, within=within)
    split = {
        budget: decide(
            "ranked", situation, unit_worth=str(tmp_path / "worth.json"), size_budget=budget
        )
        for budget in ("1.05", "1.06")
    }
    groups = {budget: len(plan.units["decoder.layers.1.fc2"]) for budget, plan in split.items()}
    assert groups == {"1.05": 1, "1.06": 5}


def test_without_a_file_or_room():
    situation = Situation(shape_of_sizes(list(LANGUAGES), UNITS, SHARED))
    with pytest.raises(OptionError, match="--unit-worth: policy 'ranked' goes by a file"):
        decide("ranked", situation)
