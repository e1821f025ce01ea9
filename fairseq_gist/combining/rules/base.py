"""What a rule is."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Dict

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Rule"]

Floats = NDArray[np.float64]


class Rule(abc.ABC):
    """Makes one gradient of those of the languages, knowing their inner products alone.

    What comes out is a sum of them with weights, so these are all that a rule has to find. Where no
    two gradients are in each other's way they are 1: the batch's own gradient.

    Attributes:
        name: of the rule, on the command line.
        summary: what it does, in half a line.
        languages: how many there are.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def __init__(self, languages: int) -> None:
        self.languages = languages

    @abc.abstractmethod
    def weights(self, gram: Floats, present: NDArray[np.intp], draw: np.random.Generator) -> Floats:
        """Return the weight of each language that is present, `[present]`.

        Args:
            gram: inner products of their gradients, `[present, present]`; none is zero.
            present: their positions among all the languages, ascending.
            draw: for what is left to chance.
        """

    def state(self) -> Dict[str, Any]:
        """Return what a checkpoint has to keep: numbers and lists of them."""
        return {}

    def load_state(self, state: Dict[str, Any]) -> None:  # noqa: B027 - most remember nothing
        """Go on with what a checkpoint has kept."""
