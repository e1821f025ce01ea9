"""GradVac: Wang et al., "Gradient Vaccine" (ICLR 2021), equations 2 and 3, on the whole model."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
from numpy.typing import NDArray

from fairseq_gist.combining.rules.base import Floats, Rule

__all__ = ["RULE", "GradVac"]

DECAY = 0.01
"""Weight of a batch in the running mean of a pair's cosine; the paper's."""


class GradVac(Rule):
    """Turn gradients until two are as similar as they usually are, the others in a random order.

    The usual cosine of a pair is a running mean that begins as 0. Of the paper's choices of what is
    turned by itself this is the whole model.
    """

    name = "gradvac"
    summary = "turn each language's gradient until it is as similar to others as it usually is"

    def __init__(self, languages: int) -> None:
        super().__init__(languages)
        self.usual = np.zeros((languages, languages))

    def weights(self, gram: Floats, present: NDArray[np.intp], draw: np.random.Generator) -> Floats:
        """Return the weights, and remember the cosines; see :class:`Rule`."""
        count, norms = len(gram), np.sqrt(np.diagonal(gram))
        turned = np.eye(count)
        for one in range(count):
            for other in draw.permutation(count):
                if other == one:
                    continue
                norm = np.sqrt(max(float(turned[one] @ gram @ turned[one]), 0.0))
                if norm == 0:
                    continue
                cosine = float(np.clip(turned[one] @ gram[other] / (norm * norms[other]), -1, 1))
                place = present[one], present[other]
                usual = self.usual[place]
                if cosine < usual:
                    sines = np.sqrt(1 - cosine**2), np.sqrt(1 - usual**2)
                    length = norm * (usual * sines[0] - cosine * sines[1])
                    turned[one, other] += length / (norms[other] * sines[1])
                self.usual[place] += DECAY * (cosine - usual)
        total: Floats = turned.sum(axis=0)
        return total

    def state(self) -> Dict[str, Any]:
        """Return the usual cosines."""
        return {"usual": self.usual.tolist()}

    def load_state(self, state: Dict[str, Any]) -> None:
        """Go on with them, if they are of as many languages."""
        usual = np.array(state.get("usual", []), dtype=np.float64)
        if usual.shape == self.usual.shape:
            self.usual = usual


RULE = GradVac
