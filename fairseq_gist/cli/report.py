"""``fairseq-gist report``."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import List, Optional

from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import OptionError
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """\
A run is a folder with anything of what the other commands and fairseq-train write: gradient
statistics, plans, checkpoints, training logs (*.log), scores; or one such file.

examples:
  fairseq-gist report runs/quickstart -o report
  fairseq-gist report runs/table1 -o report --units '.*encoder_attn.*' '.*fc[12]'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a folder or a file")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="where index.html and figures/ go; an earlier report there is replaced",
    )
    parser.add_argument(
        "--units",
        nargs="+",
        action="extend",
        default=[],
        metavar="REGEX",
        help="one more heat map of languages, of the units whose module paths match",
    )
    parser.add_argument("--title", help="of the page (default: made of the runs' names)")
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Find what there is, draw it, and write the page."""
    from fairseq_gist.report.chapters import page_of
    from fairseq_gist.report.page import PAGE, check_target, grouped, write_report
    from fairseq_gist.report.sources import find_content
    from fairseq_gist.report.style import check_installed

    check_installed()
    _check_options(args.runs, args.output, args.units)
    check_target(args.output)
    contents = find_content(
        args.runs, lambda path: _plan_of_checkpoint(path, args.trust_checkpoint)
    )
    names = [content.name for content in contents]
    opening, chapters = page_of(contents, args.units)
    missing = [item for chapter in chapters for item in chapter.missing]
    problems = [problem for content in contents for problem in content.problems]
    write_report(
        args.output,
        args.title or f"What {', '.join(names)} share{'s' if len(names) == 1 else ''}",
        opening,
        chapters,
        [f"Not read: {problem}." for problem in problems],
    )
    for sentence in opening.sentences:
        print(f"{sentence.question} {sentence.text}")
    for why, titles in grouped(missing):
        more = f"; {len(titles) - 3} more" if len(titles) > 4 else ""
        print(f"missing: {'; '.join(titles[:3] if more else titles)}{more}: {why}")
    for problem in problems:
        print(f"not read: {problem}")
    print(
        f"Open {args.output / PAGE} in a browser: pictures, what each shows, and what words mean."
    )


def _check_options(runs: List[Path], output: Path, units: List[str]) -> None:
    for pattern in units:
        try:
            re.compile(pattern)
        except re.error as error:
            raise OptionError(f"--units: '{pattern}' is no regular expression: {error}") from None
    target = output.resolve()
    for path in runs:
        own = path.resolve()
        if target == own or target in own.parents:
            raise OptionError(f"-o {output}: the run {path} lies there; name another folder")


def _plan_of_checkpoint(path: str, trusted: bool) -> Optional[SharingPlan]:
    from fairseq_gist.surgery.plan_buffer import plan_in_state

    return plan_in_state(read_checkpoint(path, trusted)["model"])
