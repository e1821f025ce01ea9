"""Options of a command from a dataclass: names, types, defaults, help."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple

import pytest

from fairseq_gist.cli.dataclass_options import add_options, flags_of, options_from


@dataclass(frozen=True)
class Options:
    count: int = field(default=0, metadata={"help": "how many"})
    share: float = field(default=0.5, metadata={"help": "how much, in %", "metavar": "SHARE"})
    kind: str = field(default="one", metadata={"choices": ("one", "other")})
    is_loud: bool = field(default=False, metadata={"help": "loud", "flag": "loud"})
    seed: Optional[int] = None
    names: Tuple[str, ...] = field(default=("a", "b"), metadata={"help": "who"})
    sizes: Mapping[str, int] = field(default_factory=dict, metadata={"unset": "all"})


def parser(prefix=""):
    made = argparse.ArgumentParser(prog="program")
    add_options(made, Options, prefix)
    return made


def test_what_is_not_given_is_the_dataclass_default():
    assert options_from(parser().parse_args([]), Options) == Options()


def test_what_is_given_has_its_type():
    given = "--count 3 --share 1e-3 --kind other --loud --seed 7 --names x,,y --sizes de=3,ru=4"
    found = options_from(parser().parse_args(given.split()), Options)
    assert found == Options(3, 1e-3, "other", True, 7, ("x", "y"), {"de": 3, "ru": 4})


def test_a_prefix_keeps_options_of_two_dataclasses_apart():
    made = parser("left-")
    add_options(made, Options, "right-")
    args = made.parse_args(["--left-count", "1", "--right-loud", "--right-seed", "0"])
    assert options_from(args, Options, "left-") == Options(count=1)
    assert options_from(args, Options, "right-") == Options(is_loud=True, seed=0)
    assert flags_of(args, Options, "left-") == ["--left-count"]
    assert flags_of(args, Options, "right-") == ["--right-loud", "--right-seed"]


def test_help_tells_names_and_defaults():
    shown = " ".join(parser().format_help().split())
    for text in (
        "--count N how many (default: 0)",
        "--share SHARE how much, in % (default: 0.5)",
        "--kind {one,other} default: one",
        "--loud loud",
        "--seed N",
        "--names NAME,NAME who (default: a,b)",
        "--sizes NAME=N,NAME=N default: all",
    ):
        assert text in shown


@pytest.mark.parametrize("given", ["--count=x", "--kind=none", "--sizes=de", "--sizes=de=²"])
def test_what_is_none_of_its_type_is_refused(given, capsys):
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args([given])
    assert given.split("=")[0] in capsys.readouterr().err
