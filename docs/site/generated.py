"""What pages show of the code itself, at the time when they are built.

- ``{commands}``: every command of ``fairseq-gist``, from its parsers;
- ``{training-options}``: every option of the task and its models, from their dataclasses;
- ``{policies}``: every policy with its options, as they are found;
- ``{file}`` and a kind: one that the code wrote, or of arrays what it holds.
"""

import argparse
import re
from typing import Callable, Dict, Iterable, Iterator, List

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from written_files import WRITTEN_FILES

from fairseq_gist.cli.main import COMMANDS, module_of

__all__ = ["markdown_of", "setup"]

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_CODE = re.compile(r"(?<![\w'])'([^' ]+)'(?![\w'])|(?<![\w-])(--?[a-z][\w-]*)")


def markdown_of(text: str) -> str:
    """Return plain text as Markdown: quoted words and options become code, nothing else changes."""
    parts, end = [], 0
    for found in _CODE.finditer(text):
        parts.append(_MARKUP.sub(r"\\\1", text[end : found.start()]))
        parts.append(f"`{found.group(1) or found.group(2)}`")
        end = found.end()
    return "".join([*parts, _MARKUP.sub(r"\\\1", text[end:])])


def _block(text: str, language: str = "text") -> List[str]:
    return [f"````{language}", *text.splitlines(), "````", ""]


# -- command lines ------------------------------------------------------------------------------


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog)
    return formatter._expand_help(action) if action.help else ""  # noqa: SLF001


def _name(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog)
    return formatter._format_action_invocation(action)  # noqa: SLF001


def _option(name: str, text: str) -> List[str]:
    return [f"```{{option}} {name}", markdown_of(text), "```", ""]


def _arguments(parser: argparse.ArgumentParser, left_out: Iterable[str] = ()) -> Iterator[str]:
    """Describe what a parser takes, group by group; its subcommands are told apart from it."""
    yield from [f"```{{program}} {parser.prog}", "```", ""]
    for group in parser._action_groups:  # noqa: SLF001 - argparse says nowhere else what it takes
        shown = [
            action
            for action in group._group_actions  # noqa: SLF001
            if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))  # noqa: SLF001
            and action.help is not argparse.SUPPRESS
            and action.dest not in left_out
        ]
        if shown and group not in parser._action_groups[:2]:  # noqa: SLF001
            yield from [f"**{markdown_of(str(group.title))}**", ""]
        for action in shown:
            yield from _option(_name(action, parser), _help(action, parser))


def _subparsers(parser: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
    of = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]  # noqa: SLF001
    return dict(of[0].choices) if of else {}


def _command(parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    yield from [f"{level} {parser.prog}", "", markdown_of(parser.description or ""), ""]
    if parser.epilog:
        yield from _block(parser.epilog)
    yield from _arguments(parser)
    for subparser in _subparsers(parser).values():
        yield from _command(subparser, level + "#")


def commands(_: str) -> Iterator[str]:
    """Describe every command."""
    for name, summary in COMMANDS.items():
        module = module_of(name)
        parser = argparse.ArgumentParser(
            prog=f"fairseq-gist {name}",
            description=summary[0].upper() + summary[1:] + ".",
            epilog=module.EXAMPLE,
        )
        module.add_arguments(parser)
        yield from _command(parser, "##")


# -- training -----------------------------------------------------------------------------------


def training_options(_: str) -> Iterator[str]:
    """Describe the options of the task, by the dataclass that has them, and those of its models."""
    from fairseq_gist.tasks.training_parser import training_parser

    parser = training_parser()
    yield from ["```{program} fairseq-train", "```", ""]
    for group in parser._action_groups:  # noqa: SLF001
        if group._group_actions:  # noqa: SLF001
            yield from [f"## {group.title}", ""]
        for action in group._group_actions:  # noqa: SLF001
            yield from _option(_name(action, parser), _help(action, parser))


def policies(_: str) -> Iterator[str]:
    """Describe every policy, with the options that it reads."""
    from fairseq_gist.policies import find_policies, policy_options

    options = policy_options().values()
    for name, policy in find_policies().items():
        read = [f"`--{one.name.replace('_', '-')}`" for one in options if name in one.defaults]
        needs = "gradients of neurons" if policy.needs_neurons else "gradients"
        told = [f"reads {needs}" if policy.needs_statistics else "reads no gradients"]
        told += ["goes on from a plan by itself"] if policy.goes_on else []
        told += [f"options {', '.join(read)}"] if read else []
        yield from [f"`{name}`", f": {markdown_of(policy.summary)}; {'; '.join(told)}", ""]


def written_file(kind: str) -> Iterator[str]:
    """Show a file that the code has just written."""
    yield from _block(WRITTEN_FILES[kind](), "text" if kind == "statistics" else "json")


class _Generated(SphinxDirective):
    """Put the Markdown that a function yields in the place of the directive."""

    optional_arguments = 1
    markdown: Callable[[str], Iterator[str]]

    def run(self) -> List[nodes.Node]:
        argument = self.arguments[0] if self.arguments else ""
        text = "\n".join(type(self).markdown(argument))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> Dict[str, bool]:
    directives = {
        "commands": commands,
        "training-options": training_options,
        "policies": policies,
        "file": written_file,
    }
    for name, function in directives.items():
        own = type(name, (_Generated,), {"markdown": staticmethod(function)})
        app.add_directive(name, own)
    return {"parallel_read_safe": True}
