"""``fairseq-gist average``."""

from __future__ import annotations

import argparse
import filecmp
import logging
import re
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.files.outputs import CHECKPOINT, add_force_option, check_output
from fairseq_gist.host.checkpoints import (
    check_numbers,
    read_checkpoint,
    without_optimizer,
    write_checkpoint,
)

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """examples:
  fairseq-gist average checkpoints/checkpoint{8,9,10}.pt -o checkpoints/average.pt
  fairseq-gist average checkpoints --num-epoch-checkpoints 10 -o checkpoints/average.pt

All checkpoints must follow one sharing plan. Optimizer state is left out of the result."""

logger = logging.getLogger(__name__)

_UPDATE = re.compile(r"checkpoint_(\d+)_(\d+)\.pt")
_EPOCH = re.compile(r"checkpoint(\d+)\.pt")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "checkpoints", nargs="+", metavar="CHECKPOINT", help="to be averaged, or a folder of them"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the averaged checkpoint"
    )
    last = parser.add_mutually_exclusive_group()
    last.add_argument(
        "--num-epoch-checkpoints",
        type=int,
        metavar="N",
        help="of a folder: those of the last N epochs; checkpoint_last.pt where none has ended",
    )
    last.add_argument(
        "--num-update-checkpoints",
        type=int,
        metavar="N",
        help="of a folder: the last N that were saved after so many updates. checkpoint_last.pt "
        "counts where it is another one: at the end of an epoch fairseq writes no other",
    )
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> None:
    """Average the models of the checkpoints; everything else is that of the last one."""
    from fairseq_gist.surgery.average import average_states

    paths = _chosen(args)
    check_output(args.output, kind=CHECKPOINT, inputs=paths, force=args.force)
    last: Any = None

    def models() -> Iterator[Tuple[str, Any]]:
        nonlocal last
        for path in paths:
            last = read_checkpoint(path, args.trust_checkpoint)
            check_numbers(last["model"], path)
            yield path, last["model"]

    averaged = average_states(models())
    write_checkpoint({**without_optimizer(last), "model": averaged}, args.output)
    logger.info(f"{args.output}: the average of {', '.join(Path(path).name for path in paths)}")


def _chosen(args: argparse.Namespace) -> List[str]:
    """Return the checkpoints that were named, or the last ones of a folder."""
    option, count = "--num-update-checkpoints", args.num_update_checkpoints
    if args.num_epoch_checkpoints is not None:
        option, count = "--num-epoch-checkpoints", args.num_epoch_checkpoints
    paths = [Path(path) for path in args.checkpoints]
    folders = [path for path in paths if path.is_dir()]
    if count is None:
        if folders:
            raise OptionError(
                f"{folders[0]} is a folder; --num-epoch-checkpoints or --num-update-checkpoints "
                "says which of its checkpoints are meant"
            )
        twice = [path for path in paths if paths.count(path) > 1]
        if twice:
            logger.warning(f"{twice[0]} is named, and counts, {paths.count(twice[0])} times")
        return [str(path) for path in paths]
    if len(paths) != 1 or not folders:
        raise OptionError(f"{option}: expected one folder, found {', '.join(args.checkpoints)}")
    if count < 1:
        raise OptionError(f"{option}: expected 1 or more, found {count}")
    chosen = _last(folders[0], args.num_epoch_checkpoints is not None)
    if not chosen:
        raise CheckpointError(f"{folders[0]} has no checkpoints to average")
    if len(chosen) < count:
        logger.warning(f"{option} {count}: {folders[0]} has but {len(chosen)}")
    return [str(path) for path in chosen[-count:]]


def _last(folder: Path, by_epoch: bool) -> List[Path]:
    """Return a folder's checkpoints in the order in which they were written."""
    pattern = _EPOCH if by_epoch else _UPDATE
    matches = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    found = sorted((tuple(map(int, m.groups())), path) for m, path in matches if m)
    paths = [path for _, path in found]
    last = folder / "checkpoint_last.pt"
    if last.is_file() and (
        not paths or (not by_epoch and not filecmp.cmp(last, paths[-1], shallow=False))
    ):
        paths.append(last)
    return paths
