"""``fairseq-gist score``: compare systems by what fairseq-generate wrote for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist.cli.checkpoint_files import read_checkpoint
from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation import (
    Run,
    System,
    check_comparable,
    collect,
    metric_tables,
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
from fairseq_gist.evaluation.sentences import WORD_ORDERS
from fairseq_gist.files import check_output
from fairseq_gist.languages.rows import LANGUAGE_KEYS, TARGET

__all__ = ["EXAMPLE", "add_arguments", "run"]

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

Named = List[Tuple[str, str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "systems", nargs="+", metavar="NAME=PATH", help="translations of a system, or its scores"
    )
    parser.add_argument("--data", type=Path, help="directory of the manifests")
    parser.add_argument(
        "--subset", help="the --gen-subset; several with commas in between are scored as one"
    )
    parser.add_argument(
        "--language-key",
        choices=LANGUAGE_KEYS,
        default=TARGET,
        help="score by target language, source language or both (default: %(default)s)",
    )
    parser.add_argument(
        "--chrf-word-order",
        type=int,
        choices=WORD_ORDERS,
        help="count words in chrF too, up to n-grams of this length: 2 is chrF++ (default: 0)",
    )
    parser.add_argument(
        "--parameters",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=N",
        help="a system's parameter count",
    )
    parser.add_argument(
        "--checkpoint",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=PATH",
        help="count a system's parameters in this checkpoint (one that you trust: it is "
        "unpickled); several of one name add up",
    )
    parser.add_argument(
        "--samples", type=int, default=0, metavar="N", help="print N sample translations"
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
    paths = _named(args.systems, "NAME=PATH")
    names = list(dict.fromkeys(name for name, _ in paths))
    _check_options(args, paths)
    baseline = args.baseline or names[0]
    pairs = pairs_of(names, baseline, _named(args.against, "--against NAME=OTHER"))
    given, checkpoints = _parameter_options(args, names)
    systems, runs = _read(args, paths)
    check_comparable(runs)
    runs = _with_parameters(runs, given, checkpoints)
    results = collect(runs, baseline, pairs, args.bootstrap_samples, args.bootstrap_seed)

    parts = [metric_tables(results), "\n".join(verdicts(results))]
    if args.samples:
        parts.insert(1, samples(systems, args.samples))
    output = _output(args, paths)
    if output:
        write_scores(output, runs)
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
    inputs = {Path(path).resolve() for _, path in paths}
    output = _output(args, paths)
    for option, path in [
        ("--output", output),
        *(("--table", path) for path in (table_paths(args.table) if args.table else [])),
    ]:
        if path and path.resolve() in inputs:
            raise OptionError(f"{option}: {path} is one of the systems to read; name another file")
        if path:
            check_output(path, option)


def _check_translations(args: argparse.Namespace, translations: Sequence[str]) -> None:
    """Raise where translations lack an option, or an option lacks translations."""
    if translations:
        for option, value in (("--data", args.data), ("--subset", args.subset)):
            if value is None or not str(value).strip(","):
                raise OptionError(f"{option} is needed to score the translations {translations[0]}")
        return
    for option, value in (("--samples", args.samples), ("--chrf-word-order", args.chrf_word_order)):
        if value:
            raise OptionError(
                f"{option}: expected a system with translations, found scores files only"
            )


def _output(args: argparse.Namespace, paths: Named) -> Optional[Path]:
    """Return where the scores go, None where they come from files and none was named."""
    if args.output or all(_is_scores(path) for _, path in paths):
        return args.output
    return Path("scores.json")


def _is_scores(path: str) -> bool:
    """Tell a scores file from a directory of translations."""
    return Path(path).is_file() or (path.endswith(".json") and not Path(path).is_dir())


def _read(args: argparse.Namespace, paths: Named) -> Tuple[List[System], List[Run]]:
    """Read and score every system; return also the translations, of the first seed each."""
    subsets = [subset for subset in (args.subset or "").split(",") if subset]
    systems: List[System] = []
    runs: List[Run] = []
    for name, path in tqdm(paths, desc="scoring", unit="system", disable=None, delay=2):
        if _is_scores(path):
            runs += read_scores(Path(path), name)
            continue
        system = read_system(name, Path(path), args.data, subsets, args.language_key)
        order = args.chrf_word_order or 0
        scores = score_corpus(system.hypotheses, system.references, order)
        runs.append(Run(name, ",".join(subsets), None, scores, Path(path)))
        if name not in [other.name for other in systems]:
            systems.append(system)
    return systems, runs


def _parameter_options(
    args: argparse.Namespace, names: Sequence[str]
) -> Tuple[Dict[str, int], Dict[str, List[Path]]]:
    """Return the parameter counts that were given, and the checkpoints to count them in."""
    given: Dict[str, int] = {}
    checkpoints: Dict[str, List[Path]] = {}
    for name, value in _named(args.parameters, "--parameters NAME=N"):
        if name in given:
            raise OptionError(f"--parameters NAME=N: '{name}' is given twice")
        if not value.isdecimal():
            raise OptionError(f"expected --parameters NAME=N, found '{name}={value}'")
        given[name] = int(value)
    for name, value in _named(args.checkpoint, "--checkpoint NAME=PATH"):
        checkpoints.setdefault(name, []).append(Path(value))
    for option, named in (("--parameters", list(given)), ("--checkpoint", list(checkpoints))):
        for name in named:
            if name not in names:
                raise OptionError(f"{option}: '{name}' is none of the systems {', '.join(names)}")
    return given, checkpoints


def _with_parameters(
    runs: Sequence[Run], given: Dict[str, int], checkpoints: Dict[str, List[Path]]
) -> List[Run]:
    """Complete the runs by the parameter counts that were given or can be counted."""
    counted = {name: sum(map(_count, paths)) for name, paths in checkpoints.items()}
    for name in counted:
        if given.get(name, counted[name]) != counted[name]:
            raise OptionError(
                f"--parameters {name}={given[name]}: its checkpoint has {counted[name]}"
            )
    known = {**given, **counted}
    for run in runs:
        count = known.get(run.name, run.parameters)
        if run.parameters not in (None, count):
            raise OptionError(
                f"system '{run.name}': {count} parameters by the options, {run.parameters} in "
                f"{run.source}"
            )
    return [run._replace(parameters=known.get(run.name, run.parameters)) for run in runs]


def _count(checkpoint: Path) -> int:
    from fairseq_gist.surgery.state import parameters_in_state

    return parameters_in_state(read_checkpoint(str(checkpoint))["model"])


def _named(words: Sequence[str], form: str) -> Named:
    """Split NAME=VALUE words; each may come once."""
    named: Named = []
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.strip() and name.isprintable() and equals and value):
            raise OptionError(f"expected {form}, found '{word}'")
        if (name, value) in named:
            raise OptionError(f"{form}: '{word}' is given twice")
        named.append((name, value))
    return named
