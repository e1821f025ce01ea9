r"""A plan found by trying: split a unit, train a little, keep the split or take it back.

    python examples/evidence/greedy.py --statistics statistics.npz --size-budget 1.5 -o plan.json \
        -- fairseq-train DATA ... --finetune-from-model start.pt --max-update 100 --valid-subset dev

What follows ``--`` trains from the start model; it is called with a plan and a folder of its own.
Units are tried in the order of their first-order gain for each parameter, each with a copy for
every language beside the splits that were kept. One is kept where the loss on held-out sentences is
lower than the lowest so far, and tried only where the budget has room for it. Every trial is a line
of ``trials.jsonl`` beside the plan: the same command given again goes on after the last one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence

import numpy as np
from agreeing import mean_loss

from fairseq_gist.cli.losses import losses_in
from fairseq_gist.errors import DataError, GistError
from fairseq_gist.files import read_text, replacing
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.gain import gain_of
from fairseq_gist.report.training_log import read_log
from fairseq_gist.sharing.budget import parse_budget
from fairseq_gist.sharing.plan import Partition, SharingPlan

Trial = Dict[str, Any]
"""``split``: the units that were; ``loss``: on held-out sentences, the mean over the languages."""


class Trials:
    """Trainings that were tried, and those that are."""

    def __init__(self, folder: Path, command: Sequence[str], statistics: GradientStatistics):
        self.folder, self.command, self.statistics = folder, list(command), statistics
        self.sizes = dict(zip(statistics.units, map(int, statistics.unit_parameters)))
        self.path = folder / "trials.jsonl"
        self.done: List[Trial] = []
        if self.path.is_file():
            self.done = [json.loads(line) for line in read_text(self.path).splitlines()]

    def plan(self, split: Iterable[str]) -> SharingPlan:
        """Return the plan in which every language has a copy of its own of the units ``split``."""
        languages, own = self.statistics.languages, set(split)
        shared: Partition = (languages,)
        apart: Partition = tuple((language,) for language in languages)
        return SharingPlan(
            languages,
            {unit: apart if unit in own else shared for unit in self.statistics.units},
            provenance={"policy": "greedy", "trials": len(self.done)},
            sizes=self.sizes,
            shared_parameters=self.statistics.shared_parameters,
        )

    def loss(self, split: Sequence[str]) -> float:
        """Return the loss after training with this split, which is done where it wasn't.

        Raises:
            GistError: when it fails.
        """
        for trial in self.done:
            if trial["command"] == self.command and trial["split"] == sorted(split):
                return float(trial["loss"])
        own = self.folder / "trial"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir(parents=True)
        plan, log = own / "plan.json", own / "train.log"
        self.plan(split).save(plan)
        words = [*self.command, "--sharing-plan", str(plan), "--save-dir", str(own)]
        with log.open("w", encoding="utf-8") as output:
            status = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT).returncode
        if status != 0:
            raise GistError(f"{words[0]} failed with {status}, see {log}")
        loss = loss_in(log)
        self.done.append({"split": sorted(split), "loss": loss, "command": self.command})
        text = "".join(json.dumps(trial) + "\n" for trial in self.done)
        with replacing(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        shutil.rmtree(own)
        return loss


def loss_in(path: Path) -> float:
    """Return the last loss on held-out sentences, the mean over the languages."""
    log = read_log(path, str(path))
    if log is None:
        raise DataError(f"{path}: expected what fairseq-train printed, found nothing of a run")
    subsets = losses_in(log, "loss_average")["subsets"]
    return mean_loss(next(iter(subsets.values()))["last"])


def candidates(statistics: GradientStatistics) -> List[str]:
    """Return the units, what gains most for each parameter of a split first."""
    apart = [[index] for index in range(len(statistics.languages))]
    gains = [gain_of(products, apart) for products in statistics.products(debiased=True)]
    worth = np.array(gains) / statistics.unit_parameters
    return [statistics.units[index] for index in np.argsort(-worth, kind="stable")]


def search(trials: Trials, budget: str) -> List[str]:
    """Return the units whose split was kept."""
    statistics = trials.statistics
    limit = parse_budget(budget, statistics.shared_parameters)
    kept: List[str] = []
    lowest = trials.loss(kept)
    print(f"nothing split: {lowest:.4f}", flush=True)
    size = statistics.shared_parameters
    for unit in candidates(statistics):
        more = trials.sizes[unit] * (len(statistics.languages) - 1)
        if size + more > limit:
            continue
        loss = trials.loss([*kept, unit])
        is_kept = loss < lowest
        print(f"{unit}: {loss:.4f}, {'kept' if is_kept else 'taken back'}", flush=True)
        if is_kept:
            kept.append(unit)
            lowest, size = loss, size + more
    return kept


def main(words: Optional[Iterable[str]] = None) -> int:
    """Search as the command line says."""
    own = list(sys.argv[1:] if words is None else words)
    place = own.index("--") if "--" in own else len(own)
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n", maxsplit=1)[0],
        usage="%(prog)s [options] -- fairseq-train ...",
    )
    parser.add_argument("--statistics", required=True, metavar="FILE")
    parser.add_argument("--size-budget", required=True, metavar="SIZE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PLAN")
    args = parser.parse_args(own[:place])
    command = own[place + 1 :]
    if not command:
        parser.error("expected -- and the command that trains behind it")
    try:
        statistics = GradientStatistics.load(args.statistics)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        trials = Trials(args.output.parent, command, statistics)
        trials.plan(search(trials, args.size_budget)).save(args.output)
    except (GistError, OSError, KeyError, ValueError) as error:
        print(f"greedy: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
