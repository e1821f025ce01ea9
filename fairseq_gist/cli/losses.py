"""``fairseq-gist losses``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from fairseq_gist.errors import DataError
from fairseq_gist.files import replacing
from fairseq_gist.files.outputs import LOSSES, add_force_option, check_output
from fairseq_gist.report.training_log import Point, TrainingLog, read_log

__all__ = ["EXAMPLE", "add_arguments", "losses_in", "run"]

EXAMPLE = """example:
  fairseq-gist losses runs/gist/train.log --by loss_average -o losses.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("log", help="what fairseq-train printed, --log-format simple or json")
    parser.add_argument(
        "--by",
        default="loss",
        metavar="NAME",
        help="the number that is lowest where a model is best, such as loss_average, the mean over "
        "the languages, or loss_de (default: %(default)s)",
    )
    parser.add_argument(
        "--choose-on",
        metavar="SUBSET",
        help="of every subset also what it was at the update that is best on this one, such as the "
        "test loss where dev is lowest",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="a JSON file (default: print it)")
    add_force_option(parser)


def run(args: argparse.Namespace) -> None:
    """Write as JSON what a log says of every held-out subset."""
    log = read_log(Path(args.log), args.log)
    if log is None:
        raise DataError(f"{args.log}: expected what fairseq-train printed, found nothing of a run")
    text = json.dumps(losses_in(log, args.by, args.choose_on), indent=1) + "\n"
    if args.output is None:
        print(text, end="")
        return
    check_output(args.output, kind=LOSSES, inputs=[args.log], force=args.force)
    with replacing(args.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def losses_in(log: TrainingLog, by: str, choose_on: Optional[str] = None) -> Dict[str, Any]:
    """Return the numbers of every validation, the best and the last of each subset.

    Args:
        log: of a training.
        by: the number that is lowest where a model is best.
        choose_on: the subset whose best update is looked up in all, as ``chosen``.

    Raises:
        DataError: when there was no validation, or none with the number ``by`` or on that subset.
    """
    subsets: Dict[str, Any] = {}
    for subset in log.validation_subsets:
        points = [point for point in log.points if point.subset == subset and by in point.values]
        if points:
            best = min(points, key=lambda point: point.values[by])
            subsets[subset] = {
                "best": _numbers(best),
                "last": _numbers(points[-1]),
                "all": [_numbers(point) for point in points],
            }
    if not subsets:
        known: List[str] = sorted({name for point in log.points for name in point.values})
        raise DataError(
            f"{log.label}: no validation has '{by}'"
            + (f"; there are {', '.join(known)}" if log.validation_subsets else "")
        )
    if choose_on is not None:
        if choose_on not in subsets:
            raise DataError(
                f"{log.label}: no validation on '{choose_on}' has '{by}', only {', '.join(subsets)}"
            )
        update = subsets[choose_on]["best"]["update"]
        for own in subsets.values():
            own["chosen"] = next((at for at in own["all"] if at["update"] == update), None)
    return {"by": by, "differentiated": log.moments, "subsets": subsets}


def _numbers(point: Point) -> Dict[str, float]:
    return {"update": point.update, **point.values}
