"""Tables, twins, remarks, costs and what is run at the end."""

from __future__ import annotations

import json
import re

import pytest

from fairseq_gist.errors import GistError
from fairseq_gist.experiments import Choices, dry_run
from fairseq_gist.experiments.costs import costs_of
from fairseq_gist.experiments.steps import Matrix, Run
from fairseq_gist.experiments.tables import compared_pairs, score_command
from tests.unit.experiments.toy import TOML, Toy

COMPARED = """
[[tables]]
name = "one"
title = "every system"
seeds = "first"

[[tables]]
name = "all"
title = "several seeds"
seeds = "all"

[comparisons]
baseline = "base"
pairs = [["*", "wide"], ["wide-{size}", "wide"], ["wide-5", "wide-*"]]
"""

PLANS = """
[[twins]]
file = "{folder}/model"
key = "plan"
before = "score"

[[remarks]]
file = "{folder}/model"
lacks = "plan"
text = "has no plan"
"""

# what is trained is a plan, the same for equal widths
PLANNED = (TOML + PLANS).replace(
    """["sh -c 'echo $* >> {folder}/model' train {how} --width {width}", "touch {folder}/left"]""",
    r"""'sh -c "echo {{\\\"plan\\\": {width}}} >{folder}/model"'""",
)
assert "plan\\" in PLANNED


def test_a_table_is_of_the_systems_with_all_its_seeds(tmp_path):
    toy = Toy(tmp_path, TOML + COMPARED)
    matrix = Matrix(toy.experiment())
    one, every = matrix.experiment.tables
    command = score_command(matrix, one, lambda run: run.system != "wide-3")
    assert command.words[:5] == [
        "fairseq-gist", "score",
        *(f"{name}={toy.out}/scores/{name}-1.json" for name in ("base", "wide", "wide-5")),
    ]  # fmt: skip
    assert command.words[5:] == [
        "--baseline", "base", "--against", "wide-5=wide",
        "--table", f"{toy.out}/one", "-o", f"{toy.out}/one.json",
    ]  # fmt: skip
    command = score_command(matrix, every, lambda run: True)
    assert command.runs == [Run("base", 1), Run("base", 2), Run("wide", 1), Run("wide", 2)]
    assert "--against" not in command.words
    assert score_command(matrix, every, lambda run: run.seed == 1) is None
    assert score_command(Matrix(toy.experiment("seeds=1")), every, lambda run: True) is None


def test_pairs_are_found_by_pattern_each_once(tmp_path):
    experiment = Toy(tmp_path, TOML + COMPARED).experiment()
    names = [system.name for system in experiment.systems]
    assert compared_pairs(experiment, names) == [
        ("wide-3", "wide"), ("wide-5", "wide"), ("wide-5", "wide-3"),
    ]  # fmt: skip
    assert compared_pairs(experiment, ["base", "wide-5"]) == []
    other = Toy(tmp_path, TOML + '[comparisons]\npairs = [["wide", "narrow"]]\n').experiment()
    with pytest.raises(GistError, match="no two systems are wide and narrow"):
        compared_pairs(other, names)


def scores(toy):
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (toy.out / "scores").glob("*")
    }


def records(toy):
    lines = (toy.out / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    return {(run["system"], run["seed"]): run for run in map(json.loads, lines)}


@pytest.mark.parametrize("jobs", [1, 4])
def test_equal_plans_are_trained_once_and_said_so(tmp_path, jobs):
    toy = Toy(tmp_path, PLANNED)
    done = toy.do("widths=7,4", jobs=jobs)  # wide-7 is as wide as wide
    scored = [step.split(",")[0] for step in done if step.endswith("seed 1: score")]
    assert sorted(scored) in (["base", "wide", "wide-4"], ["base", "wide-4", "wide-7"])
    twin = ({"wide", "wide-7"} - set(scored)).pop()
    other = ({"wide", "wide-7"} & set(scored)).pop()
    found = scores(toy)
    assert found[f"{twin}-1"] == found[f"{other}-1"]
    text = f"{twin}, seed 1: is the same model as {other}, and so has its scores"
    assert records(toy)[twin, 1]["remarks"] == [text]
    assert f"   {text}" in toy.said
    # once more, it has them still, and costs nothing
    assert toy.do("widths=7,4", jobs=jobs) == []
    assert len(records(toy)) == 6
    assert records(toy)[twin, 1]["remarks"] == [text]


def test_a_twin_that_was_made_before_counts(tmp_path):
    toy = Toy(tmp_path, PLANNED)
    toy.do("widths=7", "seeds=1", only=["wide-7"])
    assert toy.do("widths=7", "seeds=1", only=["wide"]) == ["wide, seed 1: train"]
    assert records(toy)["wide", 1]["remarks"] != []


def test_a_twin_of_what_fails_is_told(tmp_path):
    text = PLANNED.replace("sh -c 'echo", "sh -c 'sleep 0.2; test {width} != 7 && echo")
    toy = Toy(tmp_path, text)
    with pytest.raises(
        GistError, match=r"failed: wide(-7)?, seed 1: score.*wide.* the same model as"
    ):
        toy.do("widths=7,4", "seeds=1", jobs=3, keep_going=True)
    assert set(scores(toy)) == {"base-1", "wide-4-1"}


def test_what_a_plan_lacks_is_remarked(tmp_path):
    toy = Toy(tmp_path, PLANNED)
    toy.do("widths=0", "seeds=1")
    assert records(toy)["wide-0", 1]["remarks"] == ["wide-0, seed 1: has no plan"]
    assert records(toy)["wide", 1]["remarks"] == []


def test_closing_commands_take_the_files_that_are_there(tmp_path):
    text = """
[[closing]]
title = "models of seed {seed}"
each = { seed = "seeds" }
command = "cat {files}"
files = "{out}/wide-{seed}/model"

[[closing]]
command = "wc {files}"
files = ["{out}/data", "{out}/nothing"]
log = "{out}/counted"

[[closing]]
command = "false {files}"
files = "{out}/nothing"
"""
    toy = Toy(tmp_path, TOML + text)
    toy.do("seeds=1,2", only=["wide"])
    assert len(toy.shown) == 2
    assert toy.shown[1].startswith("\n== models of seed 2\n--updates 2")
    assert (toy.out / "counted").read_text(encoding="utf-8").split()[3] == f"{toy.out}/data"
    printed = dry_run(toy.experiment(), Choices())
    assert f"wc {toy.out}/data {toy.out}/nothing" in printed


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("nothing-like-this x", "nothing-like-this: No such file or directory"),
        ("ls /nothing/like/this", "ls /nothing/like/this failed: ls: "),
    ],
)
def test_closing_commands_that_fail_are_one_line(tmp_path, command, message):
    closing = f'[[closing]]\ncommand = "{command}"\nfiles = "{{out}}/data"\n'
    toy = Toy(tmp_path, f"{TOML}\n{closing}")
    with pytest.raises(GistError, match=message):
        toy.do(only=["base"])
    assert (toy.out / "scores" / "base-1.json").is_file()


def test_a_closing_command_that_cannot_be_stops_all_before_the_start(tmp_path):
    toy = Toy(tmp_path, f'{TOML}\n[[closing]]\ncommand = ""\nfiles = "{{out}}/data"\n')
    with pytest.raises(GistError, match="closing: expected a command, found '', an empty one"):
        toy.do()
    assert not toy.out.exists()


def test_a_closing_command_may_be_one_word_and_say_anything(tmp_path):
    closing = '[[closing]]\ncommand = "{c}"\n{t}files = "{{out}}/data"\n'
    odd = r"printf '\\377\\n'"
    text = closing.format(c="true", t="") + closing.format(c=odd, t='title = "odd"\n')
    toy = Toy(tmp_path, f"{TOML}\n{text}")
    toy.do(only=["base"])
    assert toy.shown == ["\n== odd\n\ufffd\n"]


def test_a_check_that_fails_stops_all_before_the_start(tmp_path):
    checks = '[[checks]]\ncommand = "sh -c \'echo no >&2; exit 3\'"\nsays = "get the tool"\n'
    toy = Toy(tmp_path, TOML + checks)
    with pytest.raises(GistError, match="^get the tool: no$"):
        toy.do()
    assert not toy.out.exists()


def test_costs_are_those_of_the_trainings_that_are_left(tmp_path):
    costs = """
[costs]
said = "a minute"
parameters = "1e9"
encoder = "1e9"
decoder = "0"
positions = "25"
frames = ["{updates}", "360000"]
updates = "{width}"
checkpoints = "5"
"""
    toy = Toy(tmp_path, TOML + costs)
    matrix = Matrix(toy.experiment("updates=4"))
    said, hours, room = costs_of(matrix, list(matrix.steps.values()))
    # 6 x 25 x 1e9 operations a second, 14,400 seconds an update, 20e12 a second: 0.03 hours
    assert said == "a minute"
    assert re.findall(r"(\d+) of at most ([0-9.]+) GPU hours each \((.*?)\)", hours) == [
        ("2", "0.0", "base"), ("2", "0.2", "wide"), ("2", "0.1", "wide-3, wide-5"),
    ]  # fmt: skip
    assert "1000 million parameters, 16 GB of memory" in room
    assert "84 GB for the checkpoints" in room
    assert (
        costs_of(matrix, [step for step in matrix.steps.values() if step.template == "score"]) == []
    )
    with pytest.raises(GistError, match="costs: expected a number, found 'plain'"):
        costs_of(
            Matrix(Toy(tmp_path, TOML + costs.replace('"{width}"', '"{word}"')).experiment()),
            list(matrix.steps.values()),
        )
