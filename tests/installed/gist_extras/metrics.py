"""How much shorter translations are than they should be."""

import numpy as np

from fairseq_gist.evaluation.metrics.base import AveragedMetric, Measured


class Shorter(AveragedMetric):
    """Characters that lack."""

    name = "shorter"
    summary = "characters that translations lack"
    title = "shorter"

    def measure(self, texts):
        """Return one number a sentence."""
        pairs = zip(texts.hypotheses, texts.references)
        lacking = [[max(0, len(reference) - len(hypothesis))] for hypothesis, reference in pairs]
        return Measured(np.array(lacking, dtype=float), "characters")
