"""UPGrad: Quinton and Rey, "Jacobian Descent for Multi-Objective Optimization" (2024)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from fairseq_gist.combining.rules.base import Floats, Rule

__all__ = ["RULE", "UPGrad"]


class UPGrad(Rule):
    """Project each gradient on the directions that harm no language, and add up what comes of it.

    The paper takes the mean; here it is the sum, which is the batch's gradient where there is no
    conflict.
    """

    name = "upgrad"
    summary = "project each language's gradient on the directions that harm none"

    def weights(self, gram: Floats, present: NDArray[np.intp], draw: np.random.Generator) -> Floats:
        """Return the weights; see :class:`Rule`.

        The projection of gradient i has the weights v >= e_i that make v' gram v least (the dual of
        the projection, proposition 1), which is a problem of least squares with u = v - e_i >= 0.
        """
        scale = float(np.trace(gram)) / len(gram)
        values, vectors = np.linalg.eigh(gram / scale)
        root = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
        total: Floats = np.ones(len(gram))
        for own in root.T:
            total += nnls(root, -own)[0]
        return total


RULE = UPGrad
