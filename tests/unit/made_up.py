"""Gradient statistics of made-up gradients, and units of a real model's sizes."""

from __future__ import annotations

import numpy as np
import pytest

from fairseq_gist.architectures import PLAIN
from fairseq_gist.errors import OptionError
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.low_rank import Projection
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.sharing.shape import ModelShape

LANGUAGES = ("de", "es", "fr", "it", "nl")
SHARED = 10_000
PLANTED = {
    "fc1": [["de", "nl"], ["es", "fr", "it"]],
    "fc2": [["de"], ["es", "nl"], ["fr", "it"]],
    "norm": [["de", "es", "fr", "it", "nl"]],
    "q_proj": [["de"], ["es"], ["fr"], ["it"], ["nl"]],
}
"""Groups of languages, by unit."""

PROJECTIONS = ("k", "v", "q", "out")

MEDIUM_SHARED = 76_327_936
"""Parameters of fairseq's ``s2t_transformer_m`` with a vocabulary of 10,000."""


def medium_units():
    """Return the sizes of that model's 79 units, as its decoder has them."""
    sizes = {}
    for layer in range(6):
        own = {f"{a}.{p}_proj": 262_656 for a in ("self_attn", "encoder_attn") for p in PROJECTIONS}
        own.update({"fc1": 1_050_624, "fc2": 1_049_088})
        own.update({f"{norm}_layer_norm": 1_024 for norm in ("self_attn", "encoder_attn", "final")})
        sizes.update({f"decoder.layers.{layer}.{kind}": size for kind, size in own.items()})
    return {**sizes, "decoder.layer_norm": 1_024}


def statistics_of(
    vectors,
    sizes=None,
    chunks=2,
    noise=0.0,
    languages=LANGUAGES,
    scale=None,
    shared=SHARED,
):
    """Return statistics in which each language's gradient on each unit is the vector given.

    Args:
        vectors: unit -> language -> vector.
        sizes: parameters of each unit.
        chunks: probes a language.
        noise: how far probes lie from the vector.
        scale: factor on each language's gradients.
        shared: parameters of the shared model.
    """
    generator = np.random.default_rng(5)
    units = tuple(vectors)
    probe_languages = np.repeat(np.arange(len(languages)), chunks)
    gram = []
    for unit in units:
        probes = np.array(
            [np.asarray(vectors[unit][languages[index]], float) for index in probe_languages]
        )
        probes = probes + noise * generator.normal(size=probes.shape)
        probes *= np.array([(scale or {}).get(languages[i], 1.0) for i in probe_languages])[:, None]
        gram.append(probes @ probes.T)
    return GradientStatistics(
        languages=tuple(languages),
        units=units,
        unit_parameters=np.array([(sizes or {}).get(unit, 100) for unit in units]),
        shared_parameters=shared,
        gram=np.array(gram).reshape(len(units), len(probe_languages), len(probe_languages)),
        probe_languages=probe_languages,
        probe_chunks=np.tile(np.arange(chunks), len(languages)),
        probe_tokens=np.full(len(probe_languages), 5.0),
        provenance={"update": 100},
    )


def grouped(groups, width=20):
    """Return vectors that are the same inside a group and orthogonal between groups."""
    axes = np.eye(width)
    return {language: axes[index] for index, group in enumerate(groups) for language in group}


def with_ties(generator, languages, units, chunks, noise):
    """Return statistics with few distinct cosines that differ in the last digits, and zeros."""
    corners = generator.integers(-1, 2, size=(units, len(languages), 4))
    turn, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    names = [f"unit{u}" for u in generator.permutation(units)]
    vectors = {name: dict(zip(languages, own @ turn)) for name, own in zip(names, corners)}
    sizes = dict(zip(names, generator.integers(1, 500, size=units).tolist()))
    return statistics_of(vectors, sizes, chunks, noise, languages)


def random_vectors(seed, units=4, languages=LANGUAGES):
    generator = np.random.default_rng(seed)
    return {
        f"unit{u}": {language: generator.normal(size=6) for language in languages}
        for u in range(units)
    }


def limits_of(generator, statistics, is_later):
    """Draw a plan so far, which separates nothing unless ``is_later``, and a size to stay below."""
    languages, count = statistics.languages, len(statistics.languages)
    within = SharingPlan(languages, {})
    if is_later:
        parts = {unit: generator.integers(0, 3, size=count) for unit in statistics.units[1:]}
        within = SharingPlan(
            languages,
            {
                unit: [[languages[i] for i in np.flatnonzero(part == p)] for p in set(part)]
                for unit, part in parts.items()
            },
        )
    everything = sum(statistics.unit_parameters.tolist()) * (count - 1)
    limit = SHARED + int(everything * generator.uniform())
    return within, limit


def check_plan(expected, statistics, limit, within, *linkage):
    """Check that the gradient's plan is the one expected, or is refused where that is None."""
    if expected is None:
        with pytest.raises(OptionError, match="the plan so far already has"):
            gradient_plan(statistics, str(limit), within, *linkage)
    else:
        plan = gradient_plan(statistics, str(limit), within, *linkage)
        assert plan == expected, f"{plan.to_json()} instead of {expected.to_json()}"


def shape_of_sizes(languages, sizes, shared, blocks=None, projections=None):
    """Return the shape of a model with units of these sizes, named as fairseq names them."""
    return ModelShape.of(languages, sizes, shared, PLAIN, blocks, projections)


def medium_projections():
    """Return the projections of the decoder of s2t_transformer_m, with their widths."""
    widths = {"fc1": Projection(512, 2048), "fc2": Projection(2048, 512)}
    return {
        unit: widths.get(unit.rpartition(".")[2], Projection(512, 512))
        for unit in medium_units()
        if "norm" not in unit
    }


def plan_by(name, statistics, within=None, **options):
    """Return what a policy decides from statistics alone."""
    shape = shape_of_statistics(statistics, PLAIN)
    return decide(name, Situation(shape, statistics, within), **options)


def gradient_plan(statistics, budget, within=None, linkage="single"):
    return plan_by("gradient", statistics, within, size_budget=budget, linkage=linkage)


def random_plan(languages, sizes, shared, budget, seed, within=None):
    pattern = "|".join(sizes)  # units of any name
    situation = Situation(shape_of_sizes(languages, sizes, shared), None, within, pattern)
    return decide("random", situation, size_budget=budget, plan_seed=seed)


def bipartition_plan(statistics, within=None, budget=None, **options):
    own = {f"bipartition_{name}": value for name, value in options.items()}
    return plan_by("bipartition", statistics, within, size_budget=budget, **own)


def gdps_plan(statistics, within=None, **options):
    return plan_by("gdps", statistics, within, **options)
