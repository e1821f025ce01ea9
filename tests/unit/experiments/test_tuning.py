"""Settings that trials on held-out data choose, the same grid for every system."""

from __future__ import annotations

import json
import shutil

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.experiments import Choices, dry_run
from tests.unit.experiments.test_doing import records
from tests.unit.experiments.toy import TOML, Toy

TUNED = TOML.replace('word = "plain"', 'word = "plain"\nrates = ["1", "2", "3", "4"]').replace(
    "[systems.wide]\n", '[systems.wide]\ntune = { rate = "rates" }\n'
)
TUNED += """
[steps.lose]
commands = '''
sh -c 'd=$(({rate} - {width} + 5)); echo "{{\\"loss\\": $((d * d))}}" >{folder}/loss.json'
'''
needs = "{folder}/model"
makes = "{folder}/loss.json"

[tuning]
file = "{folder}/loss.json"
figure = "loss"
goals = ["lose"]
"""
TUNED = TUNED.replace('steps = ["train", "score"]', 'steps = ["train", "lose", "score"]')
"""A system is best where its rate is its width less 5: ``wide`` at 2."""


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path, TUNED)


def test_trials_come_first_and_the_best_is_taken_for_every_seed(toy):
    done = toy.do()
    trials = [step for step in done if "@" in step]
    assert [step.partition(":")[0] for step in trials[::2]] == [
        f"wide@{rate}, seed 1" for rate in (1, 2, 3, 4)
    ]
    assert not any(step.startswith("wide@") and "score" in step for step in done)
    first = next(i for i, step in enumerate(done) if step.startswith("wide, seed 1"))
    assert all(done.index(step) < first for step in trials)
    for seed in (1, 2):
        assert (toy.out / f"wide-{seed}" / "model").is_file()
    assert "chosen by trials: wide: rate 2 (1 1, 2 0, 3 1, 4 4)" in toy.said
    found = records(toy)
    assert found["wide@3", 1]["figures"] == {"trial": 1}
    assert ("wide", 2) in found
    assert toy.do() == []


def test_what_a_trial_has_made_is_not_made_again(tmp_path):
    text = TUNED.replace("{out}/{system}-{seed}", "{out}/{whose}-{rate}-{seed}")
    text = text.replace("{out}/base-{seed}/model", "{out}/base-0.5-{seed}/model")
    toy = Toy(tmp_path, text.replace("--width {width}", "--width {width} --rate {rate}"))
    done = toy.do()
    assert [step for step in done if step.startswith("wide, ")] == [
        "wide, seed 1: score", "wide, seed 2: train", "wide, seed 2: score",
    ]  # fmt: skip
    assert (toy.out / "wide-2-1" / "model").read_text(encoding="utf-8").count("--width") == 1
    assert records(toy)["wide", 1]["figures"]["width"] == 7
    assert toy.do() == []


def test_what_is_at_an_end_of_the_grid_is_told(toy):
    toy.do("width=1", "rates=3,4,5")
    line = next(line for line in toy.said if line.startswith("chosen by trials"))
    assert line.endswith("that is an end of the grid, and better may lie beyond")


def test_a_trial_that_is_missing_is_made_and_may_change_the_choice(toy):
    toy.do()
    (toy.out / "wide@2-1" / "loss.json").unlink()
    assert toy.do() == ["wide@2, seed 1: lose"]
    with pytest.raises(DataError, match="was made otherwise"):
        toy.do("options.how=--updates 7 --word {word}")


def test_the_record_has_the_trials_of_the_grid_alone(toy):
    toy.do("seeds=1")
    before = records(toy)
    toy.do("seeds=1", "rates=2,3")
    assert before.keys() - records(toy).keys() == {("wide@1", 1), ("wide@4", 1)}
    assert toy.do("seeds=1") == []
    assert records(toy) == before


def test_one_system_alone_has_its_trials(toy):
    done = toy.do("seeds=1", only=["wide"])
    assert {step.partition(",")[0] for step in done if step != "data"} == {
        "base", "wide", *(f"wide@{rate}" for rate in (1, 2, 3, 4)),
    }  # fmt: skip
    assert [step for step in toy.do("seeds=1", only=["wide-3"]) if "wide" in step] == [
        "wide-3, seed 1: train", "wide-3, seed 1: score",
    ]  # fmt: skip


BOTH = (
    TUNED.replace('width = "{size}"', 'width = "{size}"\ntune = { rate = "rates" }')
    .replace('goals = ["score"]', 'goals = ["score", "compare"]')
    .replace("width = 1\n", 'width = 1\nmodels = ["{out}/wide-1/model", "{out}/wide-3-1/model"]\n')
)
BOTH += """
[steps.compare]
per = "experiment"
commands = "sh -c 'cat $* >{out}/compared' compare {*models}"
needs = ["{*models}"]
makes = "{out}/compared"
"""
"""Models of two systems are compared, whose rates are both chosen."""


def test_what_needs_a_system_with_trials_waits_for_them(tmp_path):
    toy = Toy(tmp_path, BOTH)
    toy.do("seeds=1")
    compared = (toy.out / "compared").read_bytes()
    (toy.out / "wide-3@2-1" / "loss.json").unlink()  # as where trials were stopped
    shutil.rmtree(toy.out / "wide-3-1")
    (toy.out / "compared").unlink()
    assert "compare" not in dry_run(toy.experiment("seeds=1"), Choices())
    done = toy.do("seeds=1")
    assert done == ["wide-3@2, seed 1: lose", "wide-3, seed 1: train", "compare"]
    assert (toy.out / "compared").read_bytes() == compared
    assert toy.do("seeds=1") == []


def test_trials_of_another_system_come_first_where_it_is_needed(tmp_path):
    toy = Toy(tmp_path, BOTH)
    done = toy.do("seeds=1", only=["wide"])
    assert [step for step in done if step.startswith("wide-3")] == [
        *(f"wide-3@{rate}, seed 1: {what}" for rate in (1, 2, 3, 4) for what in ("train", "lose")),
        "wide-3, seed 1: train",
    ]  # fmt: skip
    assert done.index("wide-3, seed 1: train") < done.index("compare")


def test_the_commands_of_trials_are_shown_before(toy):
    text = dry_run(toy.experiment(), Choices())
    assert "== wide@4, seed 1: train" in text
    assert "== wide, seed 1" not in text
    assert text.endswith("# then, as the trials above say: wide")


@pytest.mark.parametrize(("old", "new", "message"), [
    ('goals = ["lose"]', 'goals = ["win"]', "tuning.goals: expected some of data, train, score"),
    ('figure = "loss"\n', "", "tuning: has no 'figure', and system 'wide' is tuned"),
    ('tune = { rate = "rates" }', 'tune = { rate = "grid" }', "tune: expected the name"),
    ('tune = { rate = "rates" }', 'tune = "rates"', "systems.wide.tune: expected a table"),
])  # fmt: skip
def test_what_makes_no_sense(tmp_path, old, new, message):
    with pytest.raises(DataError, match=message):
        Toy(tmp_path, TUNED.replace(old, new, 1)).experiment()


def test_a_figure_that_is_no_number(toy):
    toy.do("seeds=1", only=["wide"])
    (toy.out / "wide@2-1" / "loss.json").write_text(json.dumps({"loss": "low"}), encoding="utf-8")
    with pytest.raises(DataError, match="expected a number at loss, found 'low'"):
        toy.do("seeds=1", only=["wide"])
