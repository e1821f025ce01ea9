"""``fairseq-gist average``."""

from __future__ import annotations

import argparse
import logging
from typing import Any, Iterator, Tuple

from fairseq_gist.cli.checkpoint_files import (
    read_checkpoint,
    without_optimizer,
    write_checkpoint,
)
from fairseq_gist.files import check_output

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """example:
  fairseq-gist average checkpoints/checkpoint{8,9,10}.pt -o checkpoints/average.pt

All checkpoints must follow one sharing plan. Optimizer state is left out of the result."""

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="to be averaged")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where to write")


def run(args: argparse.Namespace) -> None:
    """Average the models of the checkpoints; everything else is that of the last one."""
    from fairseq_gist.surgery.average import average_states

    check_output(args.output)
    last: Any = None

    def models() -> Iterator[Tuple[str, Any]]:
        nonlocal last
        for path in args.checkpoints:
            last = read_checkpoint(path)
            yield path, last["model"]

    averaged = average_states(models())
    write_checkpoint({**without_optimizer(last), "model": averaged}, args.output)
    logger.info(f"{args.output}: the average of {len(args.checkpoints)} checkpoints")
