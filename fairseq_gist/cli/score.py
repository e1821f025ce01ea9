"""``fairseq-gist score``: compare systems by what fairseq-generate wrote for them."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist.cli.dataclass_options import add_options, flags_of, options_from
from fairseq_gist.cli.parameter_counts import Named, named, parameter_options, with_parameters
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.evaluation import (
    Compared,
    Run,
    System,
    check_comparable,
    collect,
    key_of,
    metric_tables,
    metrics_of,
    pairs_of,
    read_scores,
    read_system,
    samples,
    score_corpus,
    table_paths,
    verdicts,
    write_scores,
    write_tables,
)
from fairseq_gist.evaluation.metrics import Metric, all_metrics, metric_called
from fairseq_gist.files.outputs import SCORES, TABLE, add_force_option, check_output
from fairseq_gist.languages.rows import KEYS_IN_WORDS, LANGUAGE_KEYS

__all__ = ["EXAMPLE", "add_arguments", "run"]

logger = logging.getLogger(__name__)

EXAMPLE = """\
A system is a name and the --results-path that fairseq-generate was given, or a scores file that
this command wrote before. A name that comes several times is one system with several seeds.
References and languages come from DATA/SUBSET.tsv; a system that was translated one language XX
at a time needs DATA/SUBSET_XX.tsv too.

examples:
  fairseq-gist score shared=runs/shared/generated gist=runs/gist/generated \\
    --data runs/data --subset tst-COMMON --samples 3 --output runs/scores.json \\
    --checkpoint shared=runs/shared/checkpoint_best.pt gist=runs/gist/checkpoint_best.pt

  fairseq-gist score joint=joint1.json joint=joint2.json random=random1.json random=random2.json \\
    gist=gist1.json gist=gist2.json --against gist=random --table paper/table1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "systems", nargs="+", metavar="NAME=PATH", help="translations of a system, or its scores"
    )
    parser.add_argument("--data", type=Path, help="folder of the manifests, for translations")
    parser.add_argument(
        "--subset",
        help="the --gen-subset of translations; several with commas in between are scored as one",
    )
    parser.add_argument(
        "--language-key",
        choices=LANGUAGE_KEYS,
        help=f"what is told apart in the scores: {KEYS_IN_WORDS} (default: tgt; where all rows are "
        "translated into one language from several, it has to be said)",
    )
    metrics = parser.add_argument_group("metrics")
    known = all_metrics()
    default = ",".join(name for name, metric in known.items() if metric.is_default)
    summaries = "; ".join(f"'{name}', {metric.summary}" for name, metric in known.items())
    metrics.add_argument(
        "--metrics",
        metavar="NAME,NAME",
        help=f"what to score by: {summaries} (default: {default}; of scores files all that every "
        "one of them has)",
    )
    for name, metric in known.items():
        add_options(metrics, metric.Options, f"{name}-")
    parser.add_argument(
        "--parameters",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=N",
        help="a system's parameters, for the table",
    )
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="count a system's parameters in this checkpoint; several of one name add up",
    )
    add_force_option(parser)
    add_trust_option(parser)
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="print N sample translations (default: %(default)s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="where the scores go as JSON (default: scores.json where translations are scored)",
    )
    table = parser.add_argument_group("table and comparisons")
    table.add_argument(
        "--table", metavar="PREFIX", help="write the table to PREFIX.md, PREFIX.csv, PREFIX.tex"
    )
    table.add_argument(
        "--baseline",
        metavar="NAME",
        help="the system that the others are compared with (default: the first)",
    )
    table.add_argument(
        "--against",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=OTHER",
        help="compare these two systems too",
    )
    table.add_argument(
        "--bootstrap-samples",
        type=int,
        default=1000,
        metavar="N",
        help="resamples behind p (default: %(default)s)",
    )
    table.add_argument(
        "--bootstrap-seed",
        type=int,
        default=12345,
        metavar="N",
        help="seed of the resamples (default: %(default)s, sacreBLEU's)",
    )


def run(args: argparse.Namespace) -> Optional[int]:
    """Score the systems, compare them, write what was asked for and print the comparison."""
    paths = named(args.systems, "NAME=PATH")
    names = list(dict.fromkeys(name for name, _ in paths))
    _check_options(args, paths)
    baseline = args.baseline or names[0]
    against = named(args.against, "--against NAME=OTHER")
    pairs = pairs_of(names, baseline, against)
    given, checkpoints = parameter_options(args, names)
    metrics = _metrics(args)
    systems, runs = _read(args, paths, metrics)
    check_comparable(runs)
    _warn_of_others(runs)
    runs = with_parameters(runs, given, checkpoints, args.trust_checkpoint)
    results = collect(runs, baseline, pairs, args.bootstrap_samples, args.bootstrap_seed)

    parts = [metric_tables(results), "\n".join(verdicts(results))]
    if args.samples:
        parts.insert(1, samples(systems, args.samples))
    output = _output(args, paths)
    if output:
        write_scores(output, runs, Compared(baseline, against) if pairs else None)
    if args.table:
        write_tables(args.table, results)
    print("\n\n".join(parts))
    return None


def _check_options(args: argparse.Namespace, paths: Named) -> None:
    """Raise where options are out of range or don't go together."""
    for option, value, least in (
        ("--samples", args.samples, 0),
        ("--bootstrap-samples", args.bootstrap_samples, 1),
        ("--bootstrap-seed", args.bootstrap_seed, 0),
    ):
        if value < least:
            raise OptionError(f"{option}: expected {least} or more, found {value}")
    _check_translations(args, [path for _, path in paths if not _is_scores(path)])
    inputs = [path for _, path in paths]
    output = _output(args, paths)
    if output:
        check_output(output, "--output", kind=SCORES, inputs=inputs, force=args.force)
    for path in table_paths(args.table) if args.table else []:
        check_output(path, "--table", kind=TABLE, inputs=inputs, force=args.force)


def _check_translations(args: argparse.Namespace, translations: Sequence[str]) -> None:
    """Raise where translations lack an option, or an option lacks translations."""
    if translations:
        for option, value in (("--data", args.data), ("--subset", args.subset)):
            if value is None or not str(value).strip(","):
                raise OptionError(f"{option} is needed to score the translations {translations[0]}")
        return
    given = ["--samples"] if args.samples else []
    for name, metric in all_metrics().items():
        given += flags_of(args, metric.Options, f"{name}-")
    if given:
        raise OptionError(
            f"{given[0]}: expected a system with translations, found scores files only"
        )


def _metrics(args: argparse.Namespace) -> List[Metric]:
    """Return what translations are to be scored by, with the options that were given."""
    known = all_metrics()
    names = [name for name, metric in known.items() if metric.is_default]
    if args.metrics is not None:
        names = list(dict.fromkeys(name for name in args.metrics.split(",") if name))
        if not names:
            raise OptionError(f"--metrics: expected some of {', '.join(known)}, found none")
    chosen = [metric_called(name) for name in names]
    for name, metric in known.items():
        given = flags_of(args, metric.Options, f"{name}-")
        if given and name not in names:
            raise OptionError(f"{given[0]}: {name} is none of --metrics {', '.join(names)}")
    return [metric(options_from(args, metric.Options, f"{metric.name}-")) for metric in chosen]


def _warn_of_others(runs: Sequence[Run]) -> None:
    """Say what is left out of the comparison, as not all systems were scored by it."""
    common = metrics_of(runs)
    for run in runs:
        for name, scored in run.scores.by_metric.items():
            if name not in common:
                logger.warning(
                    "%s of system '%s' (%s) is left out: not every system was scored by it",
                    scored.metric.title,
                    run.name,
                    run.source,
                )


def _warn_of_empty(system: System, path: str) -> None:
    """Say how many translations are empty, of which no score knows why it is low."""
    empty = sum(not hypothesis.strip() for hypothesis in system.hypotheses)
    if empty:
        logger.warning(
            "system '%s' (%s): %d of %d translations are empty",
            system.name,
            path,
            empty,
            len(system.hypotheses),
        )


def _output(args: argparse.Namespace, paths: Named) -> Optional[Path]:
    """Return where the scores go, None where they come from files and none was named."""
    if args.output or all(_is_scores(path) for _, path in paths):
        return args.output
    return Path("scores.json")


def _is_scores(path: str) -> bool:
    """Tell a scores file from a directory of translations."""
    return Path(path).is_file() or (path.endswith(".json") and not Path(path).is_dir())


def _read(
    args: argparse.Namespace, paths: Named, metrics: Sequence[Metric]
) -> Tuple[List[System], List[Run]]:
    """Read and score every system; return also the translations, of the first seed each."""
    subsets = [subset for subset in (args.subset or "").split(",") if subset]
    systems: List[System] = []
    runs: List[Run] = []
    if not all(_is_scores(path) for _, path in paths):
        for metric in metrics:
            metric.check()
    for name, path in tqdm(paths, desc="scoring", unit="system", disable=None, delay=2):
        if _is_scores(path):
            found = read_scores(Path(path), name)
            runs += [_chosen(run, metrics) for run in found] if args.metrics else found
            continue
        key = args.language_key or key_of(args.data, subsets)
        system = read_system(name, Path(path), args.data, subsets, key)
        _warn_of_empty(system, path)
        scores = score_corpus(system.hypotheses, system.references, metrics)
        runs.append(Run(name, ",".join(subsets), None, scores, Path(path)))
        if name not in [other.name for other in systems]:
            systems.append(system)
    return systems, runs


def _chosen(run: Run, metrics: Sequence[Metric]) -> Run:
    """Return a run of a scores file with the scores by ``metrics`` alone."""
    names = [metric.name for metric in metrics]
    there = run.scores.by_metric
    missing = [name for name in names if name not in there]
    if missing:
        raise DataError(
            f"{run.source}: system '{run.name}' was scored by {', '.join(there)}, not by "
            f"{missing[0]}; score its translations by --metrics {','.join(names)}"
        )
    chosen = {name: there[name] for name in names}
    return run._replace(scores=replace(run.scores, by_metric=chosen))
