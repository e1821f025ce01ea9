"""``fairseq-gist experiment``: systems times seeds from one description."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import List, Optional

from fairseq_gist.experiments import (
    Choices,
    conduct,
    dry_run,
    experiment_of,
    read_document,
    with_profiles,
    with_settings,
)

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """\
A step is done once: when its files are there, and the commands and files that it was made with are
still the same. The same command given again goes on from there, after ctrl-C too.

examples:
  fairseq-gist experiment examples/table1/table1.toml --dry-run
  fairseq-gist experiment examples/table1/table1.toml -o runs/table1 --jobs 2
  fairseq-gist experiment examples/low_resource/cldr.toml --only gdps gdps-random --set seeds=1"""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("file", type=Path, metavar="FILE.toml", help="describes the experiment")
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="DIR",
        help="where everything goes (default: what the file says, or runs/ and the file's name)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="SYSTEM",
        help="these systems and what they start from (default: all)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, or a part of command lines: options.NAME=VALUE",
    )
    parser.add_argument(
        "--profile", nargs="+", default=[], metavar="NAME", help="apply these profiles of the file"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="steps at a time (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead")
    parser.add_argument(
        "--again",
        action="store_true",
        help="remove what was made with other settings, and make it once more",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="when a step fails, do all that doesn't need it (default: stop)",
    )


def run(args: argparse.Namespace) -> None:
    """Go through the experiment, or print what would be run."""
    document = with_profiles(read_document(args.file), args.profile)
    experiment = experiment_of(with_settings(document, args.set), args.file.stem, args.output)
    how = Choices(_separate(args.only), args.jobs, args.again, args.keep_going)
    if args.dry_run:
        print(dry_run(experiment, how))
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    conduct(experiment, how, say=logger.info, show=print)


def _separate(words: List[str]) -> List[str]:
    return [name for word in words for name in word.split(",") if name]


def _stop(number: int, frame: Optional[FrameType]) -> None:
    """End as a shell script would, which lets all that runs be stopped on the way out."""
    del frame
    sys.exit(128 + number)
