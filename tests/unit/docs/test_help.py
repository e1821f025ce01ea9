"""What the help says of every option: what it means, each word that it may be, and its default."""

from __future__ import annotations

import argparse
import re
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from fairseq.dataclass.utils import gen_parser_from_dataclass

from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.cli.main import COMMANDS, parser_of
from fairseq_gist.tasks.configuration import GistSpeechToTextConfig

Told = List[Tuple[argparse.Action, str]]


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Give a parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def told(parser: argparse.ArgumentParser) -> Told:
    """Return everything that a parser takes, with the help that is printed of it."""
    formatter = argparse.HelpFormatter(parser.prog)
    left_out = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)
    return [
        (action, formatter._expand_help(action) if action.help else "")
        for action in parser._actions
        if not isinstance(action, left_out)
    ]


def of_training() -> Told:
    of_task, of_models = argparse.ArgumentParser(), argparse.ArgumentParser()
    gen_parser_from_dataclass(of_task, GistSpeechToTextConfig())
    add_model_args(of_models)
    stock = {"--data", "--seed", "--train-subset"}  # whose help is fairseq's own
    return [
        (action, text)
        for action, text in [*told(of_task), *told(of_models)]
        if not stock.intersection(action.option_strings)
    ]


@pytest.fixture(scope="module", params=[*COMMANDS, "training"])
def helps(request: pytest.FixtureRequest) -> Dict[str, Tuple[argparse.Action, str]]:
    """Every option of a command, or of the task and its models, by its name."""
    if request.param == "training":
        found = of_training()
    else:
        found = [one for parser in parsers(parser_of(request.param)) for one in told(parser)]
    return {(action.option_strings or [action.dest])[-1]: (action, text) for action, text in found}


def test_every_option_is_explained(helps: Dict[str, Tuple[argparse.Action, str]]) -> None:
    alone = re.compile(r"\(?default\b[^()]*\)?$")
    assert [name for name, (_, text) in helps.items() if not alone.sub("", text)] == []


def test_every_word_that_can_be_chosen_is_explained(
    helps: Dict[str, Tuple[argparse.Action, str]],
) -> None:
    missing = [
        f"{name} {word}"
        for name, (action, text) in helps.items()
        if name != "policy"  # a list below the options
        for word in action.choices or ()
        if f"'{word}'" not in text
    ]
    assert missing == []


def test_policies_are_explained_below_the_options() -> None:
    (plan,) = [one for one in parsers(parser_of("plan")) if one.prog.endswith(" plan")]
    (policy,) = [action for action in plan._actions if action.dest == "policy"]
    rows = plan.format_help().split("\npolicies:\n")[1].split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == list(policy.choices or ())
    assert all(len(row.split()) > 2 for row in rows)


def test_every_default_is_told(helps: Dict[str, Tuple[argparse.Action, str]]) -> None:
    untold = [
        name
        for name, (action, text) in helps.items()
        if "(default: " not in text and is_a_value(action)
    ]
    assert untold == []
    assert [name for name, (_, text) in helps.items() if re.search(r"\bdefault (?!of)", text)] == []


def is_a_value(action: argparse.Action) -> bool:
    """Tell a default that does something from what just wasn't given."""
    nothing: Tuple[Any, ...] = (None, False, "", argparse.SUPPRESS)
    return not any(action.default is one for one in nothing) and action.default != []
