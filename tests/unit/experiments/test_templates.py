"""Names in paths and command lines."""

from __future__ import annotations

import pytest

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.templates import Scope, combinations

SCOPE = Scope(
    {
        "out": "runs/a",
        "folder": "{out}/{system}",
        "languages": ["de", "ro"],
        "valid": "dev_{*languages}",
        "none": [],
        "pattern": r"encoder\.layers\..* x",
        "loop": "{pool}",
        "pool": "{loop}",
    },
    {"device": "--cpu", "all": "{device} --units {pattern} 'two words'", "again": "{again}"},
)


def test_a_name_is_looked_up_where_it_is_used():
    assert SCOPE.child("x", {"system": "joint"}).text("{folder}/m") == "runs/a/joint/m"
    assert SCOPE.child("x", {"out": "b", "system": "s"}).text("{folder}") == "b/s"


def test_a_list_is_one_word_with_commas_and_a_star_makes_a_word_of_each():
    assert SCOPE.words("--valid {valid}") == ["--valid", "dev_de,dev_ro"]
    assert SCOPE.words("x={*languages}/{*languages}") == ["x=de/de", "x=ro/ro"]
    assert SCOPE.texts("{*languages}-{*valid}") == [
        "de-dev_de",
        "de-dev_ro",
        "ro-dev_de",
        "ro-dev_ro",
    ]
    assert SCOPE.words("a {*none} b") == ["a", "b"]


def test_parts_of_command_lines_are_quoted_as_in_a_shell_and_values_are_not():
    assert SCOPE.words("run {all}") == [
        "run", "--cpu", "--units", r"encoder\.layers\..* x", "two words",
    ]  # fmt: skip
    assert SCOPE.child("x", {}, {"device": ""}).words("a {device} b") == ["a", "b"]
    assert SCOPE.text("{{{out}}}") == "{runs/a}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{nothing}", "nothing is called 'nothing'"),
        (
            "x{device}",
            "nothing is called 'device'; it is a part of command lines, a word by itself",
        ),
        ("{loop}", "'loop' needs itself: loop -> pool -> loop"),
        ("{again}", "'again' needs itself: again -> again"),
        ("{Out}", "found a '{' alone"),
        ("'a", "is no command line: No closing quotation"),
    ],
)
def test_what_cannot_be_filled_in_is_named(template, message):
    with pytest.raises(DataError, match="^the experiment: ") as error:
        SCOPE.words(template)
    assert message in str(error.value)


def test_where_one_text_is_wanted_several_are_refused():
    with pytest.raises(DataError, match=r"expected '\{\*languages\}' to be one, found"):
        SCOPE.text("{*languages}")


def test_combinations_are_those_of_all_lists():
    assert combinations(SCOPE, {}) == [{}]
    assert combinations(SCOPE, {"a": "languages", "b": "out"}) == [
        {"a": "de", "b": "runs/a"}, {"a": "ro", "b": "runs/a"},
    ]  # fmt: skip
