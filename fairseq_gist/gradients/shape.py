"""The shape of a model as its gradient statistics tell it: of the units that were recorded."""

from __future__ import annotations

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.sharing.shape import BlockShape, ModelShape, Naming

__all__ = ["shape_of_statistics"]


def shape_of_statistics(statistics: GradientStatistics, naming: Naming) -> ModelShape:
    """Return what statistics say of the model.

    Args:
        statistics: of some or all of its units.
        naming: of the model's architecture, which statistics don't say.
    """
    blocks = {
        first: BlockShape(own.second, len(own), own.first_parameters, own.second_parameters)
        for first, own in statistics.neurons.items()
    }
    sizes = dict(zip(statistics.units, statistics.unit_parameters.tolist()))
    shared = statistics.shared_parameters
    projections = statistics.projections
    return ModelShape.of(statistics.languages, sizes, shared, naming, blocks, projections)
