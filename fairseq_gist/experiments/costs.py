"""What an experiment costs at most, said before it starts."""

from __future__ import annotations

import math
from typing import Dict, List, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.experiments.steps import Matrix, Run, Step
from fairseq_gist.experiments.templates import Scope

__all__ = ["costs_of"]


def costs_of(matrix: Matrix, steps: Sequence[Step]) -> List[str]:
    """Return what these steps cost, a sentence each; nothing where no training is among them.

    An estimate counts operations: 6 for every parameter and position, forward and backward.
    Attention, validation and waiting for data aren't counted.
    """
    costs = matrix.experiment.costs
    runs = list(dict.fromkeys(s.run for s in steps if s.run and s.template in costs.steps))
    said = [costs.said] if costs.said and runs else []
    if not costs.parameters or not runs:
        return said
    scope = matrix.experiment.scope
    parameters, kept = _number(scope, costs.parameters), _number(scope, costs.checkpoints)
    groups: Dict[str, List[Run]] = {}
    for run in runs:
        hours = f"{_hours(matrix, run):.1f}"
        groups.setdefault(hours, []).append(run)
    each = [
        f"{len(group)} of at most {hours} GPU hours each ({', '.join(_systems(group))})"
        for hours, group in groups.items()
    ]
    return [
        *said,
        f"estimate, nothing here was measured: trainings at {scope.text(costs.tflops)} TFLOPS: "
        f"{'; '.join(each)}",
        f"{parameters / 1e6:.0f} million parameters, {parameters * 16 / 1e9:.0f} GB of memory for "
        "them, their gradients and Adam in fp32, activations not counted; "
        f"{(kept + 2) * parameters * 12 / 1e9:.0f} GB for the checkpoints of a training",
    ]


def _hours(matrix: Matrix, run: Run) -> float:
    costs, scope = matrix.experiment.costs, matrix.scope_of(run)
    a_second = 6 * (
        _number(scope, costs.encoder) * _number(scope, costs.positions)
        + _number(scope, costs.decoder) * _number(scope, costs.tokens)
    )
    frames = math.prod(_number(scope, factor) for factor in costs.frames)
    seconds = _number(scope, costs.updates) * frames / 100
    return seconds * a_second / (_number(scope, costs.tflops) * 1e12) / 3600


def _number(scope: Scope, text: str) -> float:
    found = scope.text(text)
    try:
        return float(found)
    except ValueError:
        raise DataError(f"costs: expected a number, found '{found}' ({text})") from None


def _systems(runs: Sequence[Run]) -> List[str]:
    return list(dict.fromkeys(run.system for run in runs))
