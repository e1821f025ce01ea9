"""``fairseq-gist corpus``: write an open corpus in the MuST-C release layout."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from fairseq_gist.cli.dataclass_options import add_options, options_from
from fairseq_gist.corpora import all_corpora
from fairseq_gist.errors import DataError, OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
fairseq-gist corpus NAME --help tells the options of a corpus.

example:
  fairseq-gist corpus cldr runs/cldr --size small
  fairseq-gist prepare runs/cldr --vocab-size 600
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a subcommand for every corpus, with its options."""
    corpora = parser.add_subparsers(dest="corpus", metavar="NAME", required=True)
    for name, corpus in all_corpora().items():
        own = corpora.add_parser(
            name,
            help=corpus.summary,
            description=f"Write a corpus: {corpus.summary}.",
            epilog=corpus.example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or unfinished")
        add_options(own, corpus.Options)
        own.add_argument(
            "--workers",
            type=int,
            default=os.cpu_count() or 1,
            help="processes that work at a time (default: every core, %(default)s)",
        )


def run(args: argparse.Namespace) -> None:
    """Build the corpus and say what it holds."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    corpus = all_corpora()[args.corpus]
    record = corpus.build(options_from(args, corpus.Options), args.out, args.workers)
    try:
        lines = corpus.describe(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{args.out}: the record of the corpus is damaged ({type(error).__name__}: {error}); "
            "choose another folder or remove it"
        ) from error
    for line in lines:
        logger.info("%s", line)
    logger.info("%s: ready for fairseq-gist prepare", args.out)
