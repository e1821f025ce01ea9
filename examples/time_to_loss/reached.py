"""When trainings reach the loss that one of them ends with, in updates and in seconds.

    python examples/time_to_loss/reached.py runs/time-to-loss/*/train.log -o reached.json

The loss is what a token of held-out text costs without label smoothing (``nll_loss``, in bits),
which fairseq's own criterion and the plugin's log alike. Seconds are those of training
(``train_wall``); validations take none. Between two validations a loss is taken to fall evenly. A
target is the loss of ``stock`` at a share of its updates, the lowest so far.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from fairseq_gist.errors import DataError, GistError
from fairseq_gist.files import replacing
from fairseq_gist.report.training_log import read_log

SHARES = (0.25, 0.5, 0.75, 1.0)


class Place(NamedTuple):
    """A validation."""

    update: float
    seconds: float
    loss: float


def places_in(path: Path) -> List[Place]:
    """Return the validations of a training, in their order.

    Raises:
        DataError: when the file is no log of a training, or nothing was validated.
    """
    log = read_log(path, str(path))
    subsets = [] if log is None else log.validation_subsets
    if log is None or not subsets:
        raise DataError(f"{path}: expected what fairseq-train printed, with validations")
    found: List[Place] = []
    walls = log.series("train_inner", "train_wall")
    for update, loss in log.series(subsets[0], "nll_loss"):
        seconds = sum(wall for at, wall in walls if at <= update)
        found.append(Place(update, seconds, loss))
    return found


def reached(places: List[Place], target: float) -> Optional[Place]:
    """Return where a loss was first reached; None where it never was."""
    before: Optional[Place] = None
    for place in places:
        if place.loss <= target:
            if before is None or before.loss == place.loss:
                return place
            part = (before.loss - target) / (before.loss - place.loss)
            return Place(
                before.update + part * (place.update - before.update),
                before.seconds + part * (place.seconds - before.seconds),
                target,
            )
        before = place
    return None


def compared(trainings: Dict[str, List[Place]], reference: str) -> List[Dict[str, Any]]:
    """Return for every share of the reference's updates when each training was as good.

    Raises:
        DataError: when a training was so short that its log, of whole seconds, has none.
    """
    of_reference = trainings[reference]
    rows = []
    for share in SHARES:
        until = of_reference[-1].update * share
        losses = [place.loss for place in of_reference if place.update <= until]
        if not losses:
            continue
        target = min(losses)
        own = reached(of_reference, target)
        assert own is not None
        row: Dict[str, Any] = {"share": share, "loss": target, "trainings": {}}
        for name, places in trainings.items():
            place = reached(places, target)
            if place is not None and not place.seconds:
                raise DataError(
                    f"{name}: expected seconds of training before loss {target:g}, found 0 in its "
                    "log, which counts whole ones; compare longer trainings"
                )
            row["trainings"][name] = place and {
                "updates": place.update,
                "seconds": place.seconds,
                "times_fewer_updates": own.update / place.update,
                "times_fewer_seconds": own.seconds / place.seconds,
            }
        rows.append(row)
    return rows


def page_of(rows: List[Dict[str, Any]], reference: str) -> str:
    """Return the table, in Markdown."""
    names = list(rows[0]["trainings"])
    lines = [f"| loss of {reference} after | bits a token | " + " | ".join(names) + " |"]
    lines.append("|---|---:|" + "---|" * len(names))
    for row in rows:
        cells = [
            "not reached"
            if own is None
            else f"{own['updates']:.0f} updates, {own['seconds']:.0f} s: "
            f"{own['times_fewer_seconds']:.2f} times as fast"
            for own in row["trainings"].values()
        ]
        share = f"{row['share']:.0%} of its updates"
        lines.append(f"| {share} | {row['loss']:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(words: Optional[Iterable[str]] = None) -> int:
    """Compare what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="SYSTEM-SEED/train.log")
    parser.add_argument("--reference", default="stock-1", help="default %(default)s")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    args = parser.parse_args(None if words is None else list(words))
    try:
        trainings = {path.parent.name: places_in(path) for path in args.logs}
        if args.reference not in trainings:
            raise DataError(f"expected a log in a folder {args.reference}, found none")
        rows = compared(trainings, args.reference)
        with replacing(args.output) as temporary:
            temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    except (GistError, OSError) as error:
        print(f"reached: error: {error}", file=sys.stderr)
        return 1
    print(page_of(rows, args.reference))
    return 0


if __name__ == "__main__":
    sys.exit(main())
