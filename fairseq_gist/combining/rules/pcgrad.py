"""PCGrad: Yu et al., "Gradient Surgery for Multi-Task Learning" (NeurIPS 2020), algorithm 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.combining.rules.base import Floats, Rule

__all__ = ["RULE", "PCGrad"]


class PCGrad(Rule):
    """Take from each gradient what points against another one, the others in a random order."""

    name = "pcgrad"
    summary = "project each language's gradient off those that it conflicts with"

    def weights(self, gram: Floats, present: NDArray[np.intp], draw: np.random.Generator) -> Floats:
        """Return the weights; see :class:`Rule`."""
        count = len(gram)
        projected = np.eye(count)
        for one in range(count):
            for other in draw.permutation(count):
                product = projected[one] @ gram[other]
                if other != one and product < 0:
                    projected[one, other] -= product / gram[other, other]
        total: Floats = projected.sum(axis=0)
        return total


RULE = PCGrad
