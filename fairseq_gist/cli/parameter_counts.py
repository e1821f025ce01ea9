"""How many parameters the systems of ``fairseq-gist score`` have: given, or counted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation import Run
from fairseq_gist.host.checkpoints import read_checkpoint

__all__ = ["Named", "named", "parameter_options", "with_parameters"]

Named = List[Tuple[str, str]]
"""What was given as NAME=VALUE."""


def parameter_options(
    args: argparse.Namespace, names: Sequence[str]
) -> Tuple[Dict[str, int], Dict[str, List[Path]]]:
    """Return the parameter counts that were given, and the checkpoints to count them in."""
    given: Dict[str, int] = {}
    checkpoints: Dict[str, List[Path]] = {}
    for name, value in named(args.parameters, "--parameters NAME=N"):
        if name in given:
            raise OptionError(f"--parameters NAME=N: '{name}' is given twice")
        if not value.isdecimal():
            raise OptionError(f"expected --parameters NAME=N, found '{name}={value}'")
        given[name] = int(value)
    for name, value in named(args.checkpoint, "--checkpoint NAME=PATH"):
        checkpoints.setdefault(name, []).append(Path(value))
    for option, about in (("--parameters", list(given)), ("--checkpoint", list(checkpoints))):
        for name in about:
            if name not in names:
                raise OptionError(f"{option}: '{name}' is none of the systems {', '.join(names)}")
    return given, checkpoints


def with_parameters(
    runs: Sequence[Run],
    given: Dict[str, int],
    checkpoints: Dict[str, List[Path]],
    trusted: bool = False,
) -> List[Run]:
    """Complete the runs by the parameter counts that were given or can be counted."""
    counted = {
        name: sum(_count(path, trusted) for path in paths) for name, paths in checkpoints.items()
    }
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


def _count(checkpoint: Path, trusted: bool) -> int:
    from fairseq_gist.surgery.state import parameters_in_state

    return parameters_in_state(read_checkpoint(str(checkpoint), trusted)["model"])


def named(words: Sequence[str], form: str) -> Named:
    """Split NAME=VALUE words; each may come once."""
    found: Named = []
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.strip() and name.isprintable() and equals and value):
            raise OptionError(f"expected {form}, found '{word}'")
        if (name, value) in found:
            raise OptionError(f"{form}: '{word}' is given twice")
        found.append((name, value))
    return found
