"""In which metric the gradients of two languages are compared.

Plain inner products count a step of every parameter alike. An optimizer doesn't: Adam (Kingma & Ba,
ICLR 2015) divides a step by the root of the gradient's mean square v, so that to first order a
language's loss falls by the product of its gradient with another's, each entry divided by that
root. v itself stands for the diagonal of the Fisher information, as in Kirkpatrick et al. (PNAS
2017); divided by it, the product is the gain of a step by natural gradient.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence

import torch
from torch import Tensor, nn

from fairseq_gist.errors import OptionError
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["METRICS", "mean_squares", "metric_weights"]

METRICS = ("plain", "adam", "fisher", "inverse-fisher")
"""What every entry of a product is multiplied by: 1, 1 / sqrt(v), v, 1 / v."""

_DAMPING = 1e-3
"""Added to v before it is divided by, in parts of the unit's mean: v can be next to nothing."""


def metric_weights(
    metric: str, model: nn.Module, units: Mapping[str, Unit], optimizer: Any
) -> Dict[str, Tensor]:
    """Return what every entry of a unit's gradient is multiplied by before products are taken.

    That is the root of the entry's weight in the product; `[numbers]` a unit, in the order in which
    :class:`~fairseq_gist.recording.recorder.GradientRecorder` keeps them.

    Args:
        metric: one of :data:`METRICS`.
        model: whose units they are, everything shared.
        units: by name.
        optimizer: the state of Adam that a checkpoint of fairseq has.

    Raises:
        OptionError: when the checkpoint has no such state, or another model's, or a unit has had no
            gradient.
    """
    if metric == "plain":
        return {}
    squares = mean_squares(model, optimizer)
    found = {}
    for name, unit in units.items():
        modules = [module_at(model, path) for path in unit.paths]
        # what several paths have in common is there once
        own = dict.fromkeys(p for module in modules for p in module.parameters(recurse=False))
        if not own.keys() <= squares.keys():
            raise OptionError(f"'{name}' has had no gradient, and so has no mean square", "metric")
        flat = torch.cat([squares[parameter].flatten() for parameter in own])
        found[name] = _weights(metric, flat).sqrt().float()
    return found


def _weights(metric: str, squares: Tensor) -> Tensor:
    if metric == "fisher":
        return squares
    damped = squares + _DAMPING * squares.mean()
    damped = damped.clamp_min(torch.finfo(torch.float64).tiny)
    return 1 / damped if metric == "inverse-fisher" else 1 / damped.sqrt()


def mean_squares(model: nn.Module, optimizer: Any) -> Dict[nn.Parameter, Tensor]:
    """Return Adam's mean square of every gradient, by the parameters that have had one.

    An optimizer's state has parameters by number, and none of those without a gradient, such as
    what fairseq 0.12.2 keeps in encoder layers without using it.

    Raises:
        OptionError: as :func:`metric_weights`.
    """
    states = optimizer.get("state") if isinstance(optimizer, Mapping) else None
    known = dict(states) if isinstance(states, Mapping) else {}
    if not known or not all(
        isinstance(own, Mapping) and isinstance(own.get("exp_avg_sq"), Tensor)
        for own in known.values()
    ):
        raise OptionError(
            "expected a checkpoint with the state of Adam, found none; fairseq leaves it out with "
            "--no-save-optimizer-state, and averages have none",
            "metric",
        )
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    numbers = [number for group in optimizer.get("param_groups", ()) for number in group["params"]]
    numbered = dict(zip(numbers, parameters))
    whole = sum(parameter.numel() for parameter in parameters)
    first = known.get(numbers[0]) if len(numbers) == 1 else None
    if first is not None and first["exp_avg_sq"].shape == (whole,):
        return _of_flat(first["exp_avg_sq"], parameters)
    if len(numbers) != len(parameters) or any(
        number not in numbered or own["exp_avg_sq"].shape != numbered[number].shape
        for number, own in known.items()
    ):
        raise OptionError(
            f"expected the state of Adam for the model's {len(parameters)} parameters, found one "
            f"for {len(numbers)}, or of other shapes: some weren't trained",
            "metric",
        )
    return {numbered[number]: own["exp_avg_sq"].double() for number, own in known.items()}


def _of_flat(squares: Tensor, parameters: Sequence[nn.Parameter]) -> Dict[nn.Parameter, Tensor]:
    """Take apart what an optimizer with flat masters keeps (``--fp16``); zero: never a gradient."""
    each = squares.double().split([parameter.numel() for parameter in parameters])
    return {p: own.view(p.shape) for p, own in zip(parameters, each) if own.any()}
