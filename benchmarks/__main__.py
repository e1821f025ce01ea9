"""Run benchmarks, each in a process of its own, and keep their figures in one file."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

from benchmarks.figures import Figure, read_figures, write_figures
from benchmarks.table import as_table

BENCHMARKS: Dict[str, str] = {
    "recording_step": "recording:step",
    "encode_once_m": "multiway:training",
    "record_vs_per_language": "multiway:held_out",
    "grouped_mixed": "grouped:mixed",
    "grouped_single": "grouped:single",
    "low_rank_4": "grouped:low_rank",
    "generation_grouped": "generation:beam_search",
    "grouped_step_2": "growth:steps",
    "processes_1": "processes:steps",
    "checkpoint_bytes": "checkpoints:sizes",
    "filterbank_core_seconds": "preparation:filterbanks",
    "policy_128x1000": "policies:cost",
}
"""What can be run, by the name of its first figure: module and function in this package.

The function takes the number of pairs and returns its figures.
"""


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--output", default="bench.json", help="default %(default)s")
    parser.add_argument("--pairs", type=int, default=15, help="default %(default)s")
    parser.add_argument(
        "--missing", action="store_true", help="run only what the output file doesn't have yet"
    )
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        run_here(args.only, args.pairs, args.output)
        return
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown or args.pairs < 1:
        parser.error(
            f"there is no benchmark '{unknown[0]}'; there are {', '.join(BENCHMARKS)}"
            if unknown
            else "--pairs: at least 1 is needed"
        )
    problem = _problem_with(Path(args.output))
    if problem:
        parser.error(f"--output {args.output}: {problem}")
    there = {figure.name for figure in read_figures(args.output)} if args.missing else set()
    try:
        for name in args.names or BENCHMARKS:
            if name not in there:
                run_in_process(name, args.pairs, args.output)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{name} failed (exit status {error.returncode}); see above")
    except KeyboardInterrupt:
        sys.exit("interrupted; --missing measures the rest")
    print(as_table(read_figures(args.output)))


def _problem_with(output: Path) -> str:
    """Find what would be noticed only after minutes of measuring."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        read_figures(output)
    except OSError as error:
        return str(error)
    except (ValueError, KeyError, TypeError) as error:
        return f"this is no file of figures ({error!r})"
    return "" if os.access(output.parent, os.W_OK) else "its folder can't be written to"


def run_in_process(name: str, pairs: int, output: str) -> None:
    """Run one benchmark in a new process, so that none inherits another's memory."""
    command = [sys.executable, "-m", "benchmarks", "--only", name]
    environment = {"OMP_NUM_THREADS": str(min(2, os.cpu_count() or 1)), **os.environ}
    subprocess.run(
        [*command, "--pairs", str(pairs), "--output", output], check=True, env=environment
    )


def run_here(name: str, pairs: int, output: str) -> None:
    """Run one benchmark and put its figures into the output file, in place of older ones."""
    module, function = BENCHMARKS[name].split(":")
    new: List[Figure] = getattr(importlib.import_module(f"benchmarks.{module}"), function)(pairs)
    names = {figure.name for figure in new}
    kept = [figure for figure in read_figures(output) if figure.name not in names]
    order = {name: position for position, name in enumerate(BENCHMARKS)}
    figures = sorted([*kept, *new], key=lambda figure: order.get(figure.name, len(order)))
    write_figures(output, figures)


if __name__ == "__main__":
    main()
