"""``fairseq-gist corpus``: write an open corpus in the MuST-C release layout."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from fairseq_gist.errors import OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  fairseq-gist corpus cldr runs/cldr --size small
  fairseq-gist prepare runs/cldr --vocab-size 600

needs: pip install "fairseq-gist[corpora]"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    parser.add_argument("corpus", choices=["cldr"], help="phrases of the Unicode CLDR")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or unfinished")
    parser.add_argument(
        "--size",
        choices=["tiny", "small", "full"],
        default="small",
        help="small: 1,200 phrases of training; full: 6,000, with names; "
        "tiny: for trying out the tools (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: every core (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Build the corpus and say what it holds."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    from fairseq_gist.data.corpora.cldr import build

    summary = build(args.out, args.size, args.seed, args.workers)
    for split, counts in summary["splits"].items():
        logger.info(
            "%s: %d utterances of %d phrases in %d talks, %.0f seconds, %d voice(s)",
            split,
            counts["utterances"],
            counts["phrases"],
            counts["talks"],
            counts["seconds"],
            len(counts["voices"]),
        )
    logger.info("%s: text and speech in %d languages", args.out, len(summary["targets"]))
