"""``fairseq-gist prepare``: turn data in the MuST-C layout into fairseq speech-to-text data."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Tuple

from fairseq_gist.errors import OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  fairseq-gist prepare runs/cldr --vocab-size 600
  fairseq-train runs/cldr/fairseq --config-yaml config_st.yaml --task speech_to_text \\
      --train-subset train --valid-subset dev ...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT", help="folder that holds en-XX/data/SPLIT/{txt,wav}")
    add("--out", type=Path, metavar="DIR", help="where the data go (default: ROOT/fairseq)")
    add("--vocab-size", type=int, default=10000, help="joint vocabulary (default: %(default)s)")
    add(
        "--vocab-type",
        default="unigram",
        choices=["unigram", "bpe", "char"],
        help="default: %(default)s",
    )
    add("--languages", type=_names, default=(), metavar="XX,XX", help="default: all there are")
    add("--source", default="en", metavar="XX", help="source language (default: %(default)s)")
    add(
        "--splits",
        type=_names,
        default=("train", "dev", "tst-COMMON"),
        metavar="NAME,NAME",
        help="default: train,dev,tst-COMMON",
    )
    add(
        "--max-frames",
        type=int,
        default=3000,
        help="longer utterances (10 ms a frame) are left out of training (default: %(default)s)",
    )
    add(
        "--specaugment",
        default="ld",
        choices=["ld", "lb", "none"],
        help="SpecAugment policy of training (default: %(default)s)",
    )
    add(
        "--multiway-from",
        default="dev",
        metavar="SPLIT",
        help="split whose utterances with all languages make multiway.tsv (default: %(default)s)",
    )
    add(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: every core (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Prepare the data and say what they are."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    from fairseq_gist.data.preparation import Options, prepare

    options = Options(
        languages=args.languages,
        source=args.source,
        splits=args.splits,
        vocab_size=args.vocab_size,
        vocab_type=args.vocab_type,
        max_frames=args.max_frames,
        specaugment=args.specaugment,
        multiway_from=args.multiway_from,
    )
    out = args.out or args.root / "fairseq"
    record = prepare(args.root, out, options, args.workers)
    for split, counts in record["counts"].items():
        logger.info(
            "%s: %d rows; dropped for length: %d, without text: %d",
            split,
            counts["rows"],
            counts["dropped_for_length"],
            counts["dropped_without_text"],
        )
    if record["multiway_utterances"]:
        logger.info("multiway: %d utterances in all languages", record["multiway_utterances"])
    else:
        logger.warning("multiway: no utterance of %s has all languages", args.multiway_from)
    logger.info("%s: ready for fairseq-train --config-yaml config_st.yaml", out)


def _names(text: str) -> Tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
