"""Does the conflict that chooses neurons come back in data that had no say?

python docs/conflict_halves.py STATISTICS.npz...

Half of the chunks choose half of each block's neurons, as the policy gdps does; how much of
all conflict is theirs, measured by the same chunks and by the others? Chance would have 50 %.
"""

import sys
from dataclasses import replace

import numpy as np

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies.conflict import MEASURES, conflicts

SPLITS = 10


def of_chunks(statistics, chunks):
    """Return the statistics of some chunks."""
    kept = np.flatnonzero(np.isin(statistics.probe_chunks, chunks))
    square = np.ix_(range(len(statistics.units)), kept, kept)
    neurons = {
        first: replace(own, gram=own.gram[np.ix_(range(len(own)), kept, kept)])
        for first, own in statistics.neurons.items()
    }
    return replace(
        statistics,
        gram=statistics.gram[square],
        probe_languages=statistics.probe_languages[kept],
        probe_chunks=statistics.probe_chunks[kept],
        probe_tokens=statistics.probe_tokens[kept],
        neurons=neurons,
    )


def conflict(statistics, first, measure):
    """Return the conflict of each neuron, each language alone."""
    neurons = statistics.neurons[first]
    merged = statistics.merged({first: [first, neurons.second]})
    each = [[language] for language in statistics.languages]
    return conflicts(merged, first, neurons, each, measure)[0]


def shares(statistics, measure, seed=0):
    """Return the chosen half's share of conflict in its own chunks and in the others, `[n, 2]`."""
    generator = np.random.default_rng(seed)
    chunks = np.unique(statistics.probe_chunks)
    found = []
    for _ in range(SPLITS):
        order = generator.permutation(chunks)
        halves = [of_chunks(statistics, part) for part in np.array_split(order, 2)]
        for one, other in (halves, halves[::-1]):
            for first in statistics.neurons:
                chosen = np.argsort(-conflict(one, first, measure))[: len(one.neurons[first]) // 2]
                totals = [conflict(part, first, "agreement") for part in (one, other)]
                found.append([own[chosen].sum() / own.sum() for own in totals])
    return np.array(found)


for path in sys.argv[1:]:
    read = GradientStatistics.load(path)
    for measure in MEASURES:
        mean, deviation = (f(shares(read, measure), axis=0) for f in (np.mean, np.std))
        print(  # noqa: T201
            f"{path}: by {measure}: {mean[0]:.0%} of the conflict in the chunks that chose, "
            f"{mean[1]:.0%} in the others (deviation {deviation[1]:.0%})"
        )
