"""Which score knows who should share, and which plan is best: scores of gradients against losses.

    python examples/evidence/judge_sharing.py pairs runs/groups --statistics FILE ... -o judged
    python examples/evidence/judge_sharing.py plans runs/eight --statistics FILE ... -o judged

``pairs``: of groups.toml. The worth of a pair is the loss where no languages share less the loss
where these two do. ``plans``: of fair.toml's experiments. The worth of a plan is the loss of
``joint`` less its own. Both of the same seed, on held-out sentences, the mean over the languages.
Agreement is Spearman's rank correlation over pairs or plans, the mean over seeds with its 95 %
interval. The files are gradients of the model that all started from, one a metric, whose name ends
theirs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

import numpy as np
from agreeing import (
    Agreement,
    Worth,
    agreement,
    best_first,
    chance,
    interval,
    loss_in,
    reliability,
)
from compare import losses_in
from numpy.typing import NDArray
from pages import write_all

from fairseq_gist.errors import GistError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.gain import gain_of
from fairseq_gist.sharing.plan import SharingPlan

Floats = NDArray[np.float64]
Scores = Dict[str, Dict[str, float]]
"""Score -> pair, or plan with its seed -> value, the higher the better the losses should be."""

SUBSETS = ("dev", "tst-COMMON")


def pairs_worth(out: Path, subset: str) -> Worth:
    """Return what it was worth that two languages share, of the runs that are there."""
    found: Worth = {}
    for path in sorted(out.glob("*+*-*/losses.json")):
        pair, _, seed = path.parent.name.rpartition("-")
        base = out / f"everything-{seed}" / "losses.json"
        if base.is_file():
            gained = loss_in(base, subset) - loss_in(path, subset)
            found.setdefault(pair, {})[int(seed)] = gained
    return found


def scores_of_pairs(statistics: Mapping[str, GradientStatistics]) -> Scores:
    """Return what gradients say of every pair of languages, over all units.

    Args:
        statistics: by metric.
    """
    found: Scores = {}
    for metric, own in statistics.items():
        products = own.products(debiased=True).sum(axis=0)
        squares = np.maximum(np.diag(products), 0)
        cosines = np.nanmean(own.cosines(), axis=0)
        tables: Dict[str, Floats] = {
            "mean cosine": cosines,
            "cosine of all units together": products / np.sqrt(np.outer(squares, squares)),
            "inner product": products,
            "loss of first-order gain, negative": products - (squares[:, None] + squares) / 2,
        }
        for name, table in tables.items():
            found[f"{name} ({metric})"] = _by_pair(own.languages, table)
    first = next(iter(statistics.values()))
    zeros = np.zeros((len(first.languages),) * 2)
    found["chance"] = {pair: chance(pair) for pair in _by_pair(first.languages, zeros)}
    return found


def plans_worth(out: Path, figure: str) -> Worth:
    """Return what each plan was worth; one of several seeds has a worth of each.

    Raises:
        DataError: when ``runs.jsonl`` isn't as an experiment writes it.
    """
    losses = losses_in(out / "runs.jsonl", figure)
    joint = losses.get("joint", {})
    return {
        system: {seed: joint[seed] - loss for seed, loss in own.items() if seed in joint}
        for system, own in losses.items()
        if any((out / "plans" / f"{system}-{seed}.json").is_file() for seed in own)
    }


def scores_of_plans(
    out: Path, systems: Iterable[str], seed: int, statistics: Mapping[str, GradientStatistics]
) -> Scores:
    """Return what gradients say of the systems' plans of one seed."""
    found: Scores = {}
    for system in systems:
        path = out / "plans" / f"{system}-{seed}.json"
        if not path.is_file():
            continue
        plan = SharingPlan.load(path)
        for metric, own in statistics.items():
            found.setdefault(f"gain kept ({metric})", {})[system] = gain_kept(plan, own)
            found.setdefault(f"cosine within groups ({metric})", {})[system] = within(plan, own)
        found.setdefault("number of parameters", {})[system] = float(plan.parameters or np.nan)
        found.setdefault("chance", {})[system] = chance(f"{system}-{seed}")
    return found


def gain_kept(plan: SharingPlan, statistics: GradientStatistics) -> float:
    """Return the first-order gain of a plan, as a share of that of all languages apart."""
    kept = whole = 0.0
    apart = [[index] for index in range(len(statistics.languages))]
    for unit, products in zip(statistics.units, statistics.products(debiased=True)):
        groups = plan.units.get(unit, (plan.languages,))
        kept += gain_of(products, [list(map(statistics.languages.index, own)) for own in groups])
        whole += gain_of(products, apart)
    return kept / whole


def within(plan: SharingPlan, statistics: GradientStatistics) -> float:
    """Return the mean cosine of two languages that share, over units, weighed by parameters."""
    total, weight = 0.0, 0.0
    for unit, cosines, size in zip(
        statistics.units, statistics.cosines(), statistics.unit_parameters
    ):
        for group in plan.units.get(unit, (plan.languages,)):
            own = [statistics.languages.index(language) for language in group]
            values = cosines[np.ix_(own, own)][np.triu_indices(len(own), k=1)]
            values = values[np.isfinite(values)]
            total += float(values.sum()) * float(size)
            weight += len(values) * float(size)
    return total / weight if weight else float("nan")


def judge_pairs(out: Path, statistics: Mapping[str, GradientStatistics]) -> Dict[str, Any]:
    """Return how well scores know who should share."""
    scores = scores_of_pairs(statistics)
    return _judged(lambda subset: pairs_worth(out, subset), lambda worth, seed: scores)


def judge_plans(out: Path, statistics: Mapping[str, GradientStatistics]) -> Dict[str, Any]:
    """Return how well scores know which plan is best."""
    figures = {"dev": "dev", "tst-COMMON": "test"}
    return _judged(
        lambda subset: plans_worth(out, figures[subset]),
        lambda worth, seed: scores_of_plans(out, worth, seed, statistics),
    )


def _judged(
    worth_on: Callable[[str], Worth], scores_at: Callable[[Worth, int], Scores]
) -> Dict[str, Any]:
    found: Dict[str, Any] = {}
    for subset in SUBSETS:
        worth = worth_on(subset)
        seeds = sorted({seed for own in worth.values() for seed in own})
        values: Dict[str, List[float]] = {}
        for seed in seeds:
            only = {name: {seed: own[seed]} for name, own in worth.items() if seed in own}
            for name, score in scores_at(worth, seed).items():
                known = {one: own for one, own in only.items() if one in score}
                values.setdefault(name, []).append(agreement(score, known, {}).mean)
        found[subset] = {
            "worth": worth,
            "agreement": {name: interval(own)._asdict() for name, own in values.items()},
            "reliability": reliability(worth)._asdict(),
        }
    return found


def page_of(found: Mapping[str, Any], what: str) -> str:
    """Return the tables, in Markdown."""
    lines: List[str] = []
    for subset, own in found.items():
        lines += [f"{len(own['worth'])} {what}. Rank correlation with the worth on `{subset}`:", ""]
        lines += ["| score | agreement |", "|---|---:|"]
        ranked = sorted(own["agreement"].items(), key=lambda item: best_first(item[1]))
        lines += [f"| {name} | {Agreement(**value)} |" for name, value in ranked]
        lines += [f"| *one seed with another* | {Agreement(**own['reliability'])} |", ""]
    return "\n".join(lines)


def _by_pair(languages: Iterable[str], table: Floats) -> Dict[str, float]:
    names = list(languages)
    return {
        f"{one}+{other}": float(table[place, after])
        for place, one in enumerate(names)
        for after, other in enumerate(names[place + 1 :], start=place + 1)
    }


def main(words: Optional[Iterable[str]] = None) -> int:
    """Judge what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=("pairs", "plans"))
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the runs")
    parser.add_argument("--statistics", nargs="+", type=Path, required=True, metavar="FILE")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PREFIX")
    args = parser.parse_args(None if words is None else list(words))
    try:
        statistics = {
            path.stem.rpartition("-")[2]: GradientStatistics.load(path) for path in args.statistics
        }
        found = (judge_pairs if args.what == "pairs" else judge_plans)(args.out, statistics)
        if not found["dev"]["worth"]:
            raise GistError(f"{args.out}: expected runs that are done, found none")
        contents = {".json": json.dumps(found, indent=1) + "\n", ".md": page_of(found, args.what)}
        write_all(args.output, contents)
    except (GistError, OSError, KeyError, ValueError) as error:
        print(f"judge_sharing: error: {error}", file=sys.stderr)
        return 1
    print(contents[".md"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
