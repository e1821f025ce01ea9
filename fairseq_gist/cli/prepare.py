"""``fairseq-gist prepare``: turn data in the MuST-C layout into fairseq speech-to-text data."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import Any, Mapping, Tuple

from fairseq_gist.errors import OptionError

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
example:
  fairseq-gist prepare runs/cldr --vocab-size 600
  fairseq-train runs/cldr/fairseq --config-yaml config_st.yaml --task speech_to_text \\
      --train-subset train --valid-subset dev ...

  fairseq-gist prepare runs/into-english --target en --vocab-size 300
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the subcommand."""
    add = parser.add_argument
    add(
        "root",
        type=Path,
        metavar="ROOT",
        help="folder that holds en-XX/data/SPLIT/{txt,wav}, or XX-en with --target en",
    )
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
        "--target",
        metavar="XX",
        help="many languages are spoken and all translated into this one, such as en; --source "
        "doesn't count then",
    )
    add(
        "--target-tag",
        action="store_true",
        help="with --target: put its tag before every translation (default: none)",
    )
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
        type=_names,
        default=("dev",),
        metavar="SPLIT,SPLIT",
        help="splits whose utterances with all languages make multiway.tsv (default: dev)",
    )
    add(
        "--multiway-tolerance",
        type=float,
        default=0.1,
        metavar="SECONDS",
        help="how far offset and duration of one utterance may differ between languages "
        "(default: %(default)s)",
    )
    add(
        "--vocabulary",
        metavar="PREFIX",
        help="take PREFIX.model (SentencePiece) and PREFIX.txt (fairseq dictionary) instead of "
        "training a joint vocabulary; --vocab-size is not used then",
    )
    add(
        "--asr",
        action="store_true",
        help="write speech recognition data of the source language too, to pre-train an encoder "
        "on: SPLIT_asr.tsv, config_asr.yaml",
    )
    add(
        "--asr-vocab-size",
        type=int,
        default=5000,
        help="vocabulary of --asr (default: %(default)s)",
    )
    add(
        "--workers", type=int, default=os.cpu_count() or 1, help="default: every core (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    """Prepare the data and say what they are."""
    if args.workers < 1:
        raise OptionError(f"--workers: expected 1 or more, found {args.workers}")
    from fairseq_gist.preparing.preparation import Options, prepare

    options = Options(
        languages=args.languages,
        source=args.source,
        target=args.target,
        target_tag=args.target_tag,
        splits=args.splits,
        vocab_size=args.vocab_size,
        vocab_type=args.vocab_type,
        max_frames=args.max_frames,
        specaugment=args.specaugment,
        multiway_from=args.multiway_from,
        tolerance=args.multiway_tolerance,
        vocabulary=args.vocabulary,
        asr=args.asr,
        asr_vocab_size=args.asr_vocab_size,
    )
    out = args.out or args.root / "fairseq"
    record = prepare(args.root, out, options, args.workers)
    for split, counts in record["counts"].items():
        _report(split, counts)
    for split, counts in record.get("asr", {}).get("counts", {}).items():
        _report(f"{split}_asr", counts)
    for split, found in record["multiway"].items():
        _report_multiway(split, found)
    if not record["multiway_utterances"]:
        logger.warning(
            "multiway: no utterance of %s has all languages", ", ".join(args.multiway_from)
        )
    logger.info("%s: ready for fairseq-train --config-yaml config_st.yaml", out)


def _report(subset: str, counts: Mapping[str, int]) -> None:
    logger.info(
        "%s: %d rows; dropped for length: %d, without text: %d",
        subset,
        counts["rows"],
        counts["dropped_for_length"],
        counts["dropped_without_text"],
    )


def _report_multiway(split: str, found: Mapping[str, Any]) -> None:
    logger.info(
        "multiway: %d utterances of %s in all languages, of %d",
        found["matched"],
        split,
        found["candidates"],
    )
    for language, reasons in found["unmatched"].items():
        logger.info(
            "  not in %s: %s",
            language,
            ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in reasons.items()),
        )


def _names(text: str) -> Tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)
