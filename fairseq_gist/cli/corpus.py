"""``fairseq-gist corpus``: write an open corpus in the MuST-C release layout."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Dict, Tuple

from fairseq_gist.errors import OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  fairseq-gist corpus cldr runs/cldr --size small
  fairseq-gist prepare runs/cldr --vocab-size 600

  fairseq-gist corpus cldr runs/into-english --direction many-to-one --sizes ro=300,ru=150
  fairseq-gist prepare runs/into-english --target en --vocab-size 300

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
    parser.add_argument(
        "--direction",
        choices=["one-to-many", "many-to-one"],
        default="one-to-many",
        help="one-to-many: English is spoken and translated into eight languages; many-to-one: "
        "these are spoken and translated into English (default: %(default)s)",
    )
    parser.add_argument(
        "--languages",
        type=_names,
        default=(),
        metavar="XX,XX",
        help="languages that are spoken, of many-to-one (default: all eight)",
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default={},
        metavar="XX=N,XX=N",
        help="phrases of training in these languages, of many-to-one, where they are to have fewer "
        "(default: all)",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: every core (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Build the corpus and say what it holds."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    from fairseq_gist.corpora.cldr.build import build

    summary = build(
        args.out, args.size, args.seed, args.workers, args.direction, args.languages, args.sizes
    )
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
    if "sources" in summary:
        counts = summary["splits"]["train"]["utterances_in"]
        logger.info(
            "%s: speech in %d languages, of training %s utterances",
            args.out,
            len(counts),
            ", ".join(f"{language} {count}" for language, count in counts.items()),
        )
        return
    logger.info("%s: text and speech in %d languages", args.out, len(summary["targets"]))


def _names(text: str) -> Tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _sizes(text: str) -> Dict[str, int]:
    sizes: Dict[str, int] = {}
    for part in _names(text):
        name, _, number = part.partition("=")
        if not number.strip().isdigit() or name.strip() in sizes:
            raise argparse.ArgumentTypeError(
                f"expected languages with their numbers of phrases, each once, such as "
                f"de=1200,ru=300, found '{text}'"
            )
        sizes[name.strip()] = int(number)
    return sizes
