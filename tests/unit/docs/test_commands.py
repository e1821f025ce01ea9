"""Every command that a page shows is one that the parsers take."""

from __future__ import annotations

import argparse
import contextlib
import re
import shlex
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple

import pytest
from fairseq import options

from fairseq_gist.cli.main import COMMANDS, parser_of
from fairseq_gist.cli.policy_arguments import chosen_policy
from fairseq_gist.tasks.registration import register
from fairseq_gist.training.options import moments

register()

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
PAGES += ROOT.glob("examples/**/*.md")
PARSERS = {
    "fairseq-train": options.get_training_parser,
    "fairseq-generate": options.get_generation_parser,
    "fairseq-interactive": options.get_interactive_generation_parser,
    "fairseq-validate": options.get_validation_parser,
}
IN_PLACE_OF_DOTS = {"--user-dir": "fairseq_gist", "--task": "gist_speech_to_text"}
IN_PLACE_OF_DOTS_IN_TRAINING = {
    **IN_PLACE_OF_DOTS,
    "--arch": "gist_s2t_transformer_m",
    "--criterion": "label_smoothed_cross_entropy",
}
MADE_BY_READERS = {"--copied-from-length", "--toy-path", "pairs", "tones"}
"""What commands of docs/extending.md have that there is only where it was followed."""

SHELL = re.compile(r"[();<>|&]+")

_BLOCK = re.compile(r"^```(?:bash|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_IN_A_LINE = re.compile(r"`((?:fairseq-(?:gist|train|generate))\s[^`]+)`")


class Shown(NamedTuple):
    """A command on a page, as words; of some it shows a part."""

    page: str
    words: List[str]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def words_of(text: str) -> List[List[str]]:
    """Return the commands of a line of shell, as words."""
    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    commands: List[List[str]] = [[]]
    for word in reader:
        if SHELL.fullmatch(word):
            if word.startswith(">") and commands[-1][-1:] in (["1"], ["2"]):
                commands[-1].pop()
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def program_of(words: List[str]) -> str:
    """Return what a command runs, behind what it sets for that alone."""
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    if words[:1] == ["torchrun"]:
        del words[: words.index("fairseq_cli.train")]
        words[0] = "fairseq-train"
    if words[:1] == ["..."] and words[1].startswith("--"):
        words.insert(0, "fairseq-train")
    return words[0] if words else ""


def shown_on(path: Path) -> Iterator[Shown]:
    text, page = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    blocks = [found.group(1) for found in _BLOCK.finditer(text)]
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += [found.group(0) for found in _INDENTED.finditer(outside)]
    for block in blocks:
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if not re.search(r"(^|\s)(fairseq-\w+|torchrun|\.\.\. -)", line):
                continue
            for words in words_of(line):
                if program_of(words) in ("fairseq-gist", *PARSERS):
                    yield Shown(page, [w for w in words if w != "..."], "..." not in words)
    for found in _IN_A_LINE.finditer(outside):
        words = words_of(" ".join(found.group(1).split()))[0]
        yield Shown(page, [w for w in words if w != "..."], False)


SHOWN = [
    one
    for path in sorted(PAGES)
    for one in shown_on(path)
    if path.name != "extending.md" or not MADE_BY_READERS.intersection(one.words)
]


class Refused(Exception):
    """What a parser says of a command."""


def refuse(self: argparse.ArgumentParser, message: str) -> None:
    raise Refused(message)


def check_gist(shown: Shown) -> None:
    words = ["gradient" if word in ("POLICY", "NAME") else word for word in shown.words[1:]]
    command = next((word for word in words if word in COMMANDS), None)
    if command is None:
        assert words[0] in ("COMMAND", "--version"), "expected a command"
        return
    parser = parser_of(command)
    if not shown.is_whole:
        relax(parser)
    with contextlib.suppress(SystemExit):  # --help ends there
        args = parser.parse_args(words)
        if command == "plan" and args.policy is not None:
            chosen_policy(args)


def relax(parser: argparse.ArgumentParser) -> None:
    """Have a parser take what is only part of a command."""
    for group in parser._mutually_exclusive_groups:
        group.required = False
    for action in parser._actions:
        action.required = False
        for below in getattr(action, "choices", None) or {}:
            if isinstance(action, argparse._SubParsersAction):
                relax(action.choices[below])


def check_fairseq(shown: Shown) -> None:
    program, *words = shown.words
    if not shown.is_whole:
        trains = program == "fairseq-train"
        given = IN_PLACE_OF_DOTS_IN_TRAINING if trains else IN_PLACE_OF_DOTS
        words += [word for name in given if name not in words for word in (name, given[name])]
        if words[0].startswith("-"):
            words.insert(0, "DATA")
    if "--user-dir" in words:
        words[words.index("--user-dir") + 1] = str(ROOT / "fairseq_gist")
    with contextlib.suppress(SystemExit):
        args: Any = options.parse_args_and_arch(PARSERS[program](), words)
        if program == "fairseq-train" and args.task == "gist_speech_to_text":
            moments(args)
        if program == "fairseq-train" and shown.is_whole:
            # without them fairseq counts the language tag, and learns at a rate of 0.25
            lacking = [one for one in ("--criterion", "--lr") if one not in words]
            assert not lacking, f"no {' and no '.join(lacking)}"


@pytest.mark.parametrize("page", sorted({one.page for one in SHOWN}))
def test_commands_are_taken(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argparse.ArgumentParser, "error", refuse)
    refused = []
    for shown in SHOWN:
        if shown.page != page:
            continue
        try:
            (check_gist if shown.words[0] == "fairseq-gist" else check_fairseq)(shown)
        except Exception as error:
            if not shown.is_whole and "expected one argument" in str(error):
                continue  # `fairseq-gist score -o`, which means the option
            refused.append(f"{shown}: {error}")
    assert not refused, "\n".join(refused)


def test_pages_show_commands_of_every_kind() -> None:
    whole = [one.words for one in SHOWN if one.is_whole]
    assert {words[1] for words in whole if words[0] == "fairseq-gist"} >= set(COMMANDS)
    assert {words[0] for words in whole} >= {"fairseq-train", "fairseq-generate"}
