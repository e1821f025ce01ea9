"""What deciding on a plan costs in time and memory."""

from __future__ import annotations

import statistics as statistics_of
import tracemalloc
from pathlib import Path
from typing import List, Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.figures import Figure, timed
from fairseq_gist.architectures import PLAIN
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["cost"]

LANGUAGES = (8, 32, 128)
UNITS = (100, 1000)
CHUNKS = 4
"""Probes of each language."""
RUNS = 3
"""At most so many measurements of a time: it hardly varies, and the largest takes seconds."""

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "img" / "policy-cost.png"
COLOURS = ("#0072B2", "#D55E00")
"""Of the numbers of units; told apart by the colour-blind too."""


def cost(pairs: int) -> List[Figure]:
    """Time policy ``gradient`` for many languages and units, and draw the figures."""
    sizes = [(languages, units) for units in UNITS for languages in LANGUAGES]
    figures = [
        _measure(languages, units, min(pairs, RUNS))
        for languages, units in tqdm(sizes, desc="policies", unit="size")
    ]
    _draw(figures)
    return figures[::-1]  # the largest, which has the target, comes first


def _measure(languages: int, units: int, runs: int) -> Figure:
    statistics = _statistics(languages, units)
    times = [timed(lambda: _plan(statistics)) for _ in range(runs)]
    walls = [time.wall for time in times]
    # in a run of its own, which tracing slows down; numpy's arrays are counted
    tracemalloc.start()
    plan = _plan(statistics)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return Figure(
        name=f"policy_{languages}x{units}",
        value=statistics_of.median(walls),
        unit="seconds",
        a=f"gradient policy, {languages} languages and {units} units, {CHUNKS} chunks a language",
        b="",
        pairs=runs,
        minimum=min(walls),
        maximum=max(walls),
        cpu=statistics_of.median(time.cpu for time in times),
        target="<= 30" if (languages, units) == (LANGUAGES[-1], UNITS[-1]) else "",
        details={
            "languages": languages,
            "units": units,
            "gram_megabytes": statistics.gram.nbytes / 1e6,
            "peak_megabytes_beyond_gram": peak / 1e6,
            "copies": sum(len(groups) for groups in plan.units.values()),
        },
    )


def _plan(statistics: GradientStatistics) -> SharingPlan:
    shape = shape_of_statistics(statistics, PLAIN)
    return decide("gradient", Situation(shape, statistics), size_budget="2.0")


def _statistics(languages: int, units: int) -> GradientStatistics:
    """Return made-up statistics: languages that lie in a few dimensions, with more or less noise.

    Half of the shared model's parameters are in the units, whose sizes differ.
    """
    generator = np.random.default_rng([languages, units])
    probes = languages * CHUNKS
    gram = np.empty((units, probes, probes))
    for own in gram:
        gradients = np.repeat(generator.normal(size=(languages, 8)), CHUNKS, axis=0)
        gradients += generator.uniform(0.2, 4.0) * generator.normal(size=gradients.shape)
        np.matmul(gradients, gradients.T, out=own)
    parameters = generator.integers(1_000, 1_000_000, size=units)
    return GradientStatistics(
        languages=tuple(f"l{index:03}" for index in range(languages)),
        units=tuple(f"unit{index}" for index in range(units)),
        unit_parameters=parameters,
        shared_parameters=2 * int(parameters.sum()),
        gram=gram,
        probe_languages=np.repeat(np.arange(languages), CHUNKS),
        probe_chunks=np.tile(np.arange(CHUNKS), languages),
        probe_tokens=np.full(probes, 1_000.0),
        provenance={"source": "made up"},
    )


def _draw(figures: Sequence[Figure]) -> None:
    """Draw time and memory against the number of languages."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for units, colour in zip(UNITS, COLOURS):
        own = [figure for figure in figures if figure.details["units"] == units]
        gram, peak = (
            [figure.details[key] for figure in own]
            for key in ("gram_megabytes", "peak_megabytes_beyond_gram")
        )
        label = f"{units:,} units"
        left.plot(LANGUAGES, [figure.value for figure in own], "o-", color=colour, label=label)
        right.plot(LANGUAGES, gram, "s--", color=colour, label=f"{label}: the statistics")
        right.plot(LANGUAGES, peak, "o-", color=colour, label=f"{label}: beside them")
    left.set_title("time of deciding on a plan")
    left.set_ylabel("seconds")
    right.set_title("memory at the peak")
    right.set_ylabel("megabytes")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(LANGUAGES, [str(number) for number in LANGUAGES])
        axes.set_xlabel(f"languages, {CHUNKS} chunks each")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    picture.savefig(PICTURE, dpi=110)
    pyplot.close(picture)
