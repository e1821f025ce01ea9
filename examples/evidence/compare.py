"""What systems differ by, over seeds: the table of fair.toml's experiments, and of others.

    python examples/evidence/compare.py runs/eight/runs.jsonl --against random joint -o compared
    python examples/evidence/compare.py runs/people/runs.jsonl --figure chrf --highest ...

Losses of the systems on held-out sentences, or scores of their translations, are compared seed by
seed: the mean difference, its 95 % interval and p by Student's t (two-sided), and the smallest
difference that so many seeds would have shown at p < 0.01 four times in five, as far as this sample
knows how they scatter. Beside them are what trials on dev have chosen for a system, and the seconds
that a run took.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

import numpy as np
from pages import write_all
from scipy import stats

from fairseq_gist.errors import DataError, GistError
from fairseq_gist.files import read_text

Losses = Dict[str, Dict[int, float]]
"""System -> seed -> loss, or score."""

_LEVEL, _POWER = 0.01, 0.8


class Difference(NamedTuple):
    """Between two systems, seed by seed; below zero: the first has the lower figure."""

    mean: float
    low: float
    high: float
    p: float
    detectable: float
    """The smallest difference that would have been seen."""
    seeds: int

    def written(self, digits: int) -> str:
        """Return it in words, with so many digits behind the point."""
        p = "p < 0.001" if self.p < 0.0005 else f"p {self.p:.3f}"
        return (
            f"{self.mean:+.{digits}f} ({self.low:+.{digits}f} to {self.high:+.{digits}f}), {p}, "
            f"detectable {self.detectable:.{digits}f}"
        )


class Runs(NamedTuple):
    """What a file says of the finished runs of an experiment."""

    losses: Losses
    seconds: Losses
    """That a run took."""
    chosen: Dict[str, str]
    """System -> the settings of its best trial."""


def runs_in(path: Path, figure: str) -> Runs:
    """Return the finished runs.

    Args:
        path: ``runs.jsonl`` of an experiment.
        figure: whose values are the losses.

    Raises:
        DataError: when the file isn't one that ``fairseq-gist experiment`` writes.
    """
    found = Runs({}, {}, {})
    best: Dict[str, float] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        try:
            run = json.loads(line)
            figures, system, seed = run["figures"], run["system"], run["seed"]
            if "trial" not in figures:
                found.losses.setdefault(system, {})[seed] = float(figures[figure])
                found.seconds.setdefault(system, {})[seed] = float(run["seconds"])
                continue
            name, _, settings = system.partition("@")
            if figures["trial"] < best.get(name, np.inf):
                best[name], found.chosen[name] = float(figures["trial"]), settings
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: expected a run with '{figure}', found {line[:80]!r}"
            ) from error
    return found


def losses_in(path: Path, figure: str) -> Losses:
    """Return the losses of the finished runs; trials are left out."""
    return runs_in(path, figure).losses


def difference(one: Dict[int, float], other: Dict[int, float]) -> Optional[Difference]:
    """Return how two systems differ on the seeds that both have; None with fewer than two."""
    seeds = sorted(set(one) & set(other))
    if len(seeds) < 2:
        return None
    each = np.array([one[seed] - other[seed] for seed in seeds])
    free, error = len(each) - 1, each.std(ddof=1) / np.sqrt(len(each))
    mean, half = float(each.mean()), float(stats.t.ppf(0.975, free) * error)
    p = float(2 * stats.t.sf(abs(mean) / error, free)) if error > 0 else float(mean == 0)
    needed = float((stats.t.ppf(1 - _LEVEL / 2, free) + stats.t.ppf(_POWER, free)) * error)
    return Difference(mean, mean - half, mean + half, p, needed, len(each))


def compared(runs: Runs, against: Iterable[str]) -> Dict[str, Any]:
    """Return every system's loss, and its differences to those of ``against``."""
    found: Dict[str, Any] = {}
    losses = runs.losses
    for system, own in losses.items():
        values = list(own.values())
        found[system] = {
            "chosen": runs.chosen.get(system),
            "seeds": len(values),
            "seconds": float(np.mean(list(runs.seconds[system].values()))),
            "mean": float(np.mean(values)),
            "deviation": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "differences": {
                other: value._asdict()
                for other in against
                if other in losses and other != system
                for value in [difference(own, losses[other])]
                if value is not None
            },
        }
    return found


def page_of(found: Dict[str, Any], against: List[str], figure: str, highest: bool = False) -> str:
    """Return the table in Markdown, the best system first: the lowest loss or the highest score."""
    titles = ["system", "chosen", "seeds", "seconds", figure if highest else f"loss ({figure})"]
    titles += [f"less {other}" for other in against]
    lines = ["| " + " | ".join(titles) + " |", "|---|---|---:|---:|---:|" + "---|" * len(against)]
    digits = 2 if highest else 4
    for system, own in sorted(found.items(), key=lambda item: item[1]["mean"], reverse=highest):
        deviation = own["deviation"]
        spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
        cells = [system, own["chosen"] or "", str(own["seeds"]), f"{own['seconds']:.0f}"]
        cells.append(f"{own['mean']:.{digits}f}{spread}")
        known = own["differences"]
        cells += [
            Difference(**known[other]).written(digits) if other in known else ""
            for other in against
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(words: Optional[Iterable[str]] = None) -> int:
    """Compare what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("runs", type=Path, metavar="RUNS", help="runs.jsonl of an experiment")
    parser.add_argument("--against", nargs="+", default=[], metavar="SYSTEM")
    parser.add_argument("--figure", default="test", help="default %(default)s")
    parser.add_argument("--highest", action="store_true", help="it is a score: the highest is best")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PREFIX")
    args = parser.parse_args(None if words is None else list(words))
    try:
        found = compared(runs_in(args.runs, args.figure), args.against)
        page = page_of(found, args.against, args.figure, args.highest)
        write_all(args.output, {".json": json.dumps(found, indent=1) + "\n", ".md": page})
    except (GistError, OSError) as error:
        print(f"compare: error: {error}", file=sys.stderr)
        return 1
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
