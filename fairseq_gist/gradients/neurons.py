"""The gradients of single neurons of a feed-forward block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, Mapping

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.errors import StatisticsError

__all__ = ["NeuronGrams", "from_arrays", "to_arrays"]


@dataclass(frozen=True, eq=False)
class NeuronGrams:
    """Inner products of the probes, one matrix for each neuron of a block.

    The parameters of a neuron are its row of the first projection's weight and bias, and its
    column of the second's weight. The second's bias belongs to none.

    Attributes:
        second: module path of the projection that reads the neurons.
        gram: inner products, `[neurons, probes, probes]`, fp32.
        first_parameters: parameters of one neuron in the first projection.
        second_parameters: parameters of one neuron in the second projection.
    """

    second: str
    gram: NDArray[np.float32]
    first_parameters: int
    second_parameters: int

    def __len__(self) -> int:
        return len(self.gram)

    def check(self, first: str, sizes: Mapping[str, int], probes: int) -> None:
        """Check that these are neurons of ``first`` and ``second``.

        Args:
            first: module path of the projection that makes them.
            sizes: parameters of the units.
            probes: how many there are.

        Raises:
            StatisticsError: when a unit isn't there or is too small, or the inner products are of
                another shape, or not finite.
        """
        unknown = {first, self.second} - set(sizes)
        if unknown:
            raise StatisticsError(
                f"gradient statistics: neurons between '{first}' and '{self.second}' were "
                f"recorded, but no unit '{min(unknown)}'"
            )
        found, kind = self.gram.shape, self.gram.dtype
        if len(found) != 3 or found[1:] != (probes, probes) or kind.kind != "f":
            raise StatisticsError(
                f"gradient statistics: the inner products of neurons of '{first}' should be "
                f"floats of shape (neurons, {probes}, {probes}), are {kind} of shape {found}"
            )
        if not np.isfinite(self.gram).all():
            raise StatisticsError(
                f"gradient statistics: a neuron of '{first}' has a gradient that isn't finite"
            )
        for unit, each in ((first, self.first_parameters), (self.second, self.second_parameters)):
            if not 0 < each * len(self) <= sizes[unit]:
                raise StatisticsError(
                    f"gradient statistics: {len(self)} neurons of {each} parameters each "
                    f"aren't in the {sizes[unit]} of '{unit}'"
                )

    def weighed(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return of each neuron the sum of its products times their weights, `[neurons]`.

        Args:
            weights: of the products, `[probes, probes]`.
        """
        sums: NDArray[np.float64] = np.tensordot(self.gram, weights, axes=2)
        return sums


def to_arrays(neurons: Mapping[str, NeuronGrams]) -> Dict[str, NDArray[Any]]:
    """Return the arrays that stand for neurons in a statistics file; none for none."""
    if not neurons:
        return {}
    sizes = [[own.first_parameters, own.second_parameters] for own in neurons.values()]
    arrays: Dict[str, NDArray[Any]] = {
        "hidden_blocks": np.array([[f, own.second] for f, own in neurons.items()], dtype=np.str_),
        "hidden_parameters": np.array(sizes, dtype=np.int64),
    }
    arrays.update({f"hidden_gram_{i}": own.gram for i, own in enumerate(neurons.values())})
    return arrays


def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Dict[str, NeuronGrams]:
    """Return what :func:`to_arrays` wrote.

    Raises:
        KeyError: when one of the arrays is missing.
        ValueError: when names and sizes aren't those of blocks.
    """
    if "hidden_blocks" not in arrays:
        return {}
    blocks, sizes = arrays["hidden_blocks"], arrays["hidden_parameters"]
    if blocks.ndim != 2 or blocks.shape[1] != 2 or sizes.shape != blocks.shape:
        raise ValueError(
            "hidden_blocks and hidden_parameters should be two columns, a row a block; are of "
            f"shape {blocks.shape} and {sizes.shape}"
        )
    again = [path for path, times in Counter(blocks.ravel().tolist()).items() if times > 1]
    if again:
        raise ValueError(f"hidden_blocks should name projections once each; has '{again[0]}' twice")
    return {
        str(first): NeuronGrams(str(second), arrays[f"hidden_gram_{i}"], int(one), int(other))
        for i, ((first, second), (one, other)) in enumerate(zip(blocks, sizes))
    }
