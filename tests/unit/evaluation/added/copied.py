"""A metric that somebody adds: this file is all of it."""

from dataclasses import dataclass, field

import numpy as np

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import AveragedMetric, Measured


@dataclass(frozen=True)
class Options:
    from_length: int = field(default=1, metadata={"help": "characters a translation has at least"})


class Copied(AveragedMetric):
    """How many translations are the source over again, in percent."""

    name = "copied"
    summary = "translations that repeat the source"
    title = "copied %"
    Options = Options
    higher_is_better = False
    digits = 1

    def check(self):
        if self.options.from_length < 1:
            raise OptionError(f"expected 1 or more, found {self.options.from_length}")

    def measure(self, texts):
        same = [
            100.0 * (hypothesis == source and len(source) >= self.options.from_length)
            for hypothesis, source in zip(texts.hypotheses, texts.sources)
        ]
        return Measured(np.array(same)[:, None], f"from:{self.options.from_length}")


METRIC = Copied
