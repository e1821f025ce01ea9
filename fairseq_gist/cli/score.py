"""``fairseq-gist score``: compare systems by what fairseq-generate wrote for them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation import (
    CorpusScores,
    System,
    count_parameters,
    read_system,
    samples,
    score_corpus,
    table,
    verdict,
)
from fairseq_gist.files import replacing

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """\
A system is a name and the --results-path that fairseq-generate was given; the first one is what
the others are compared with. References and languages come from DATA/SUBSET.tsv.

example:
  fairseq-gist score shared=runs/shared/generated gist=runs/gist/generated \\
    --data runs/data --subset tst-COMMON --samples 3 --output runs/scores.json \\
    --checkpoint shared=runs/shared/checkpoint_best.pt gist=runs/gist/checkpoint_best.pt
"""

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("systems", nargs="+", metavar="NAME=DIR", help="the outputs of a system")
    parser.add_argument("--data", type=Path, required=True, help="directory of the manifests")
    parser.add_argument(
        "--subset",
        required=True,
        help="the --gen-subset; several with commas in between are scored as one",
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
        help="count a system's parameters in this checkpoint (one that you trust: it is unpickled)",
    )
    parser.add_argument(
        "--samples", type=int, default=0, metavar="N", help="print N sample translations"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("scores.json"),
        help="where the scores go as JSON (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> Optional[int]:
    """Score the systems, write the JSON and print the comparison."""
    if args.samples < 0:
        raise OptionError(f"--samples: expected 0 or more, found {args.samples}")
    directories = _named(args.systems, "NAME=DIR", Path)
    parameters = _parameters(args, list(directories))
    subsets = [subset for subset in args.subset.split(",") if subset]
    systems = [
        read_system(name, directory, args.data, subsets, parameters.get(name))
        for name, directory in directories.items()
    ]
    scored = [(system, score_corpus(system.hypotheses, system.references)) for system in systems]
    _write(args.output, scored)
    parts = [table(scored), verdict(scored)]
    if args.samples:
        parts.insert(1, samples(systems, args.samples))
    print("\n\n".join(parts))
    return None


def _parameters(args: argparse.Namespace, names: Sequence[str]) -> Dict[str, int]:
    """Collect the parameter counts that were given or can be counted."""
    given = _named(args.parameters, "--parameters NAME=N", int)
    checkpoints = _named(args.checkpoint, "--checkpoint NAME=PATH", Path)
    for option, named in (("--parameters", given), ("--checkpoint", checkpoints)):
        for name in named:
            if name not in names:
                raise OptionError(f"{option}: '{name}' is none of the systems {', '.join(names)}")
    counted = {name: count_parameters(path) for name, path in checkpoints.items()}
    for name in counted:
        if given.get(name, counted[name]) != counted[name]:
            raise OptionError(
                f"--parameters {name}={given[name]}: its checkpoint has {counted[name]}"
            )
    return {**given, **counted}


def _named(words: Sequence[str], form: str, convert: Callable[[str], T]) -> Dict[str, T]:
    """Split NAME=VALUE words, keeping their order."""
    named: Dict[str, T] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise OptionError(f"expected {form}, found '{word}'")
        if name in named:
            raise OptionError(f"{form}: '{name}' is given twice")
        try:
            named[name] = convert(value)
        except ValueError as error:
            raise OptionError(f"expected {form}, found '{word}'") from error
    return named


def _write(path: Path, scored: Sequence[Tuple[System, CorpusScores]]) -> None:
    systems: List[Dict[str, Any]] = [
        {
            "name": system.name,
            "parameters": system.parameters,
            "hypotheses": len(system.hypotheses),
            "references": len(system.references),
            "bleu": scores.bleu,
            "chrf": scores.chrf,
            "signature": scores.bleu_signature,
            "chrf_signature": scores.chrf_signature,
        }
        for system, scores in scored
    ]
    with replacing(path) as temporary:
        text = json.dumps({"systems": systems}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
