"""The ``fairseq-gist`` command: one subcommand a module, imported when it is called for."""

import argparse
import contextlib
import importlib
import io
import logging
import os
import signal
import sys
from typing import Any, List, Optional

from fairseq_gist import __version__
from fairseq_gist.errors import GistError, was_interrupted
from fairseq_gist.host.boundary import as_errors, in_one_line, shows_tracebacks
from fairseq_gist.host.warned import leave_out_script_warnings

__all__ = ["COMMANDS", "main", "module_of", "parser_of"]

COMMANDS = {
    "corpus": "write an open corpus in the MuST-C release layout",
    "prepare": "turn published data into fairseq speech-to-text data",
    "record": "measure gradients per language on held-out, multi-way aligned data",
    "plan": "decide what the languages share, by gradients, kind of unit, or chance",
    "show": "print a plan, or the plan inside a checkpoint, as a table",
    "apply": "rewrite a checkpoint into the model a plan describes",
    "add-language": "give a checkpoint one more language, begun as its nearest relative",
    "average": "average checkpoints that follow one plan",
    "export": "write one language's model as a stock fairseq checkpoint",
    "translate": "translate recordings: text, JSON or subtitles, in several languages at once",
    "score": "score fairseq-generate outputs and write the comparison table",
    "losses": "write what a training log says of held-out data, best and last, as JSON",
    "experiment": "train, translate, score and compare many systems, as one file describes it",
    "report": "draw similarity, plans, training and results on one page",
    "examples": "copy the described experiments and recipes into a folder",
    "options": "print the options that this plugin adds to those of fairseq-train",
    "user-dir": "print the folder that fairseq takes as --user-dir",
}


def module_of(command: str) -> Any:
    """Return the module that does a subcommand: its example, its arguments and its work."""
    return importlib.import_module(f"fairseq_gist.cli.{command.replace('-', '_')}")


def parser_of(command: Optional[str]) -> argparse.ArgumentParser:
    """Return the parser of the command line; of the options only those of one subcommand."""
    parser = argparse.ArgumentParser(
        prog="fairseq-gist",
        description="Gradient-informed sharing for multilingual speech translation.",
        epilog="fairseq-gist COMMAND --help tells more, with an example.",
    )
    parser.add_argument("--version", action="version", version=f"fairseq-gist {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name != command:
            subparsers.add_parser(name, help=summary, add_help=False)
            continue
        module = module_of(name)
        subparser = subparsers.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=module.EXAMPLE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def main(argv: Optional[List[str]] = None) -> int:
    """Run one subcommand; 0 when it worked, 1 with one line on an error, 130 on ctrl-C."""
    argv = sys.argv[1:] if argv is None else argv
    leave_out_script_warnings()
    command = next((word for word in argv if word in COMMANDS), None)
    try:
        args = parser_of(command).parse_args(argv)
        _begin_logging(args.debug)
        _begin_printing()
        with as_errors():
            status = args.run(args) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read it has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as error:
        if was_interrupted(error):
            print(f"fairseq-gist {command}: interrupted", file=sys.stderr)
            return 130
        if shows_tracebacks() or not isinstance(error, (GistError, OSError)):
            raise
        print(f"fairseq-gist {command}: error: {in_one_line(error)}", file=sys.stderr)
        return 1


def _begin_printing() -> None:
    """Have what a terminal can't show printed as its number: nothing is lost at the last moment."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        with contextlib.suppress(OSError):  # where it has become a pipe since it was opened
            sys.stdout.reconfigure(errors="backslashreplace")


def _begin_logging(debug: bool) -> None:
    """Show what is said of the command's work, and of libraries warnings alone."""
    asked = os.environ.get("LOGLEVEL", "").upper()
    logging.basicConfig(format="%(message)s", level=asked or logging.WARNING, stream=sys.stderr)
    if debug or not asked:
        level = logging.DEBUG if debug else logging.INFO
        logging.getLogger("fairseq_gist").setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
