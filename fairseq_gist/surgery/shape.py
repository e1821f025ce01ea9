"""The shape of a model: what is known of it without torch."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Sequence

from torch import nn

from fairseq_gist.architectures import Architecture, architecture_of
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.sharing.low_rank import Projection, whole_of
from fairseq_gist.sharing.shape import BlockShape, ModelShape
from fairseq_gist.surgery.operations.low_rank import projection_of
from fairseq_gist.surgery.plan_buffer import plan_of
from fairseq_gist.surgery.units import (
    Unit,
    count_parameters,
    find_units,
    module_at,
    no_units,
)

__all__ = ["projections_in", "shape_of"]


def shape_of(model: nn.Module, languages: Optional[Sequence[str]] = None) -> ModelShape:
    """Return the shape of ``model`` as it is now, differentiated or not.

    Args:
        model: left as it is.
        languages: of the model; None for those of its plan, or of its ``routing``.
    """
    architecture = architecture_of(model)
    plan, units = plan_of(model), find_units(model)
    if languages is None:
        languages = model.routing.languages if plan is None else plan.languages
    sizes = {name: unit.parameters for name, unit in units.items()}
    copies = 0 if plan is None else plan.size(0, sizes)
    return ModelShape.of(
        languages,
        sizes,
        count_parameters(model) - copies,
        architecture,
        _blocks(model, units, architecture),
        projections_in(model, units),
        no_units(model),
    )


def projections_in(model: nn.Module, units: Mapping[str, Unit]) -> Dict[str, Projection]:
    """Return those of ``units`` that low-rank differences can be added to."""
    found: Dict[str, Projection] = {}
    for name, unit in units.items():
        own = projection_of(module_at(model, name))
        is_whole = whole_of(name) == name and not is_in_adapter(name)
        if own is not None and len(unit.paths) == 1 and is_whole:
            found[name] = own
    return found


def _blocks(
    model: nn.Module, units: Dict[str, Unit], architecture: Architecture
) -> Dict[str, BlockShape]:
    """Return the feed-forward blocks whose two projections are plain ones."""
    found: Dict[str, BlockShape] = {}
    for first, second in architecture.feed_forward_blocks(units).items():
        one, other = module_at(model, first), module_at(model, second)
        if type(one) is not nn.Linear or type(other) is not nn.Linear:
            continue
        if one.out_features == other.in_features:
            each = one.in_features + (one.bias is not None)
            found[first] = BlockShape(second, other.in_features, each, other.out_features)
    return found
