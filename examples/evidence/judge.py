"""Which score of a unit knows what its split is worth: scores of gradients against losses.

    python examples/evidence/judge.py runs/measured -o runs/measured/judged

reads what measured.toml has made (as far as it is), and writes judged.json, judged.md and for each
moment judged-worth-MOMENT.json, what policy ``ranked`` splits by. The worth of a split is the loss
without it less the loss with it, of the same moment and seed, on held-out sentences, the mean over
the languages. Agreement is Spearman's rank correlation over the units, the mean over seeds with its
95 % interval by Student's t.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from agreeing import Agreement, Worth, agreement, best_first, chance, loss_in, reliability
from numpy.typing import NDArray
from pages import write_all

from fairseq_gist.errors import GistError
from fairseq_gist.files import read_json
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.gain import gain_of

Floats = NDArray[np.float64]
METRICS = ("plain", "adam", "fisher", "inverse-fisher")
SUBSETS = ("dev", "tst-COMMON")
PER_PARAMETER = " / parameters"


def worth_of(out: Path, moment: str, subset: str) -> Worth:
    """Return what the split of every unit was worth, of the runs that are there."""
    found: Worth = {}
    for path in sorted(out.glob(f"*-{moment}-*/losses.json")):
        unit, _, seed = path.parent.name.rpartition(f"-{moment}-")
        base = out / f"unsplit-{moment}-{seed}" / "losses.json"
        if unit in ("unsplit", "everything") or not base.is_file():
            continue
        gained = loss_in(base, subset) - loss_in(path, subset)
        found.setdefault(f"decoder.{unit}", {})[int(seed)] = gained
    return found


def scores_of(statistics: Mapping[str, GradientStatistics]) -> Dict[str, Dict[str, float]]:
    """Return score -> unit -> value, each the higher the more a split should be worth.

    Args:
        statistics: metric -> gradients of the model before, all with the same units.
    """
    plain = statistics["plain"]
    units, sizes = plain.units, plain.unit_parameters.astype(float)
    pairs = np.triu_indices(len(plain.languages), k=1)
    columns: Dict[str, Floats] = {
        "dissimilarity (Wang et al.)": 1 - _mean_of_pairs(plain.cosines(), pairs),
        "largest dissimilarity": 1 - np.nanmin(plain.cosines()[:, pairs[0], pairs[1]], axis=1),
        "share of chunks in conflict": conflict_of(plain),
        "norm of the gradient": np.sqrt(np.maximum(_squares(plain), 0)),
        "number of parameters": sizes,
        "depth": np.array([_depth(unit) for unit in units], dtype=float),
        "chance": np.array([chance(unit) for unit in units]),
    }
    names = {
        "plain": "gain",
        "adam": "gain in Adam's metric",
        "fisher": "gain, Fisher-weighted",
        "inverse-fisher": "gain, second order (inverse Fisher)",
    }
    for metric, own in statistics.items():
        columns[names[metric]] = gains_of(own)
    for name in [*names.values(), "norm of the gradient"]:
        if name in columns:
            columns[name + PER_PARAMETER] = columns[name] / sizes
    return {name: dict(zip(units, values.tolist())) for name, values in columns.items()}


def looked_ahead(path: Path) -> Dict[str, Dict[str, float]]:
    """Return score -> unit -> value, of what lookahead.py wrote; none where it hasn't."""
    if not path.is_file():
        return {}
    names = {"sgd": "lookahead, a step of SGD (TAG)", "adam": "lookahead, a step of Adam"}
    found = read_json(path, "what lookahead.py writes")
    return {names[kind]: worths for kind, worths in found.items()}


def gains_of(statistics: GradientStatistics) -> Floats:
    """Return the first-order gain of each language apart, `[units]`."""
    apart = [[index] for index in range(len(statistics.languages))]
    return np.array([gain_of(own, apart) for own in statistics.products(debiased=True)])


def conflict_of(statistics: GradientStatistics) -> Floats:
    """Return the share of pairs of languages whose gradients conflict on a chunk, `[units]`.

    That is counted chunk by chunk, as Shi et al. ("Recon", ICLR 2023) count batches in training.
    """
    counts = np.zeros(len(statistics.units))
    pairs = 0
    for chunk in np.unique(statistics.probe_chunks):
        probes = np.flatnonzero(statistics.probe_chunks == chunk)
        one, other = np.triu_indices(len(probes), k=1)
        counts += (statistics.gram[:, probes[one], probes[other]] < 0).sum(axis=1)
        pairs += len(one)
    return counts / pairs


def judge(out: Path) -> Dict[str, Any]:
    """Return all that can be said of what is there.

    Raises:
        GistError: when nothing is.
    """
    moments = sorted(
        {p.parent.name.split("-")[-2] for p in out.glob("unsplit-*/losses.json")}, key=int
    )
    if not moments:
        raise GistError(f"{out}: expected runs of measured.toml, found none that is done")
    found: Dict[str, Any] = {"moments": {}}
    by_moment: Dict[str, Dict[str, Dict[str, float]]] = {}
    for moment in moments:
        paths = {metric: out / f"statistics-{moment}-{metric}.npz" for metric in METRICS}
        statistics = {m: GradientStatistics.load(p) for m, p in paths.items() if p.is_file()}
        ahead = looked_ahead(out / f"lookahead-{moment}.json")
        own: Dict[str, Any] = {"worth": {}, "agreement": {}, "reliability": {}}
        for subset in SUBSETS:
            worth = worth_of(out, moment, subset)
            own["worth"][subset] = {unit: _summary(list(by.values())) for unit, by in worth.items()}
            own["reliability"][subset] = reliability(worth)._asdict()
            if "plain" not in statistics:
                continue
            scores = by_moment[moment] = {**scores_of(statistics), **ahead}
            sizes = scores["number of parameters"]
            own["agreement"][subset] = {
                name: {
                    "worth": agreement(score, worth, {})._asdict(),
                    "worth a parameter": agreement(score, worth, sizes)._asdict(),
                }
                for name, score in scores.items()
            }
        found["moments"][moment] = own
    found["across"] = {
        f"{one} for {other}": {
            name: agreement(score, worth_of(out, other, SUBSETS[-1]), {})._asdict()
            for name, score in by_moment[one].items()
        }
        for one in by_moment
        for other in moments
        if one != other
    }
    return found


def worths_in(found: Mapping[str, Any]) -> Dict[str, Dict[str, float]]:
    """Return moment -> unit -> its worth on dev, the mean over seeds."""
    return {
        moment: {unit: value["mean"] for unit, value in own["worth"]["dev"].items()}
        for moment, own in found["moments"].items()
    }


def page_of(found: Mapping[str, Any]) -> str:
    """Return the tables, in Markdown."""
    lines: List[str] = []
    for moment, own in found["moments"].items():
        lines += [f"### Split at update {moment}", ""]
        seeds = max((s["seeds"] for s in own["worth"]["tst-COMMON"].values()), default=0)
        lines += [f"{len(own['worth']['tst-COMMON'])} units, up to {seeds} seeds.", ""]
        for subset, agreements in own["agreement"].items():
            lines += [f"Rank correlation with the worth on `{subset}`:", ""]
            lines += ["| score | worth | worth a parameter |", "|---|---:|---:|"]
            ranked = sorted(agreements.items(), key=lambda item: best_first(item[1]["worth"]))
            for name, both in ranked:
                cells = [str(Agreement(**both[kind])) for kind in ("worth", "worth a parameter")]
                lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
            lines.append(
                f"| *one seed with another* | {Agreement(**own['reliability'][subset])} | |"
            )
            lines.append("")
    across = found["across"]
    if across:
        lines += [f"### Scores of one moment for the worth at another, on `{SUBSETS[-1]}`", ""]
        lines += ["| score | " + " | ".join(across) + " |", "|---|" + "---:|" * len(across)]
        for name in next(iter(across.values())):
            cells = [str(Agreement(**own[name])) if name in own else "" for own in across.values()]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _summary(values: Sequence[float]) -> Dict[str, Any]:
    error: Optional[float] = None
    if len(values) > 1:
        error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    return {"mean": float(np.mean(values)), "error": error, "seeds": len(values)}


def _mean_of_pairs(cosines: Floats, pairs: Tuple[Any, Any]) -> Floats:
    mean: Floats = np.nanmean(cosines[:, pairs[0], pairs[1]], axis=1)
    return mean


def _squares(statistics: GradientStatistics) -> Floats:
    mean: Floats = np.einsum("ujj->uj", statistics.products(debiased=True)).mean(axis=1)
    return mean


def _depth(unit: str) -> int:
    parts = unit.split(".")
    return int(parts[2]) if parts[1] == "layers" else 1 << 16


def main(words: Optional[Iterable[str]] = None) -> int:
    """Judge what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of measured.toml's runs")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PREFIX")
    args = parser.parse_args(None if words is None else list(words))
    try:
        found = judge(args.out)
        contents = {".json": json.dumps(found, indent=1) + "\n", ".md": page_of(found)}
        for moment, worths in worths_in(found).items():
            contents[f"-worth-{moment}.json"] = json.dumps(worths, indent=1) + "\n"
        write_all(args.output, contents)
    except (GistError, OSError, KeyError, ValueError) as error:
        print(f"judge: error: {error}", file=sys.stderr)
        return 1
    print(contents[".md"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
