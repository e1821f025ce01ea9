"""Gradients of a planted structure under noise, for tests of the analyses."""

from __future__ import annotations

import numpy as np

from fairseq_gist.gradients.statistics import GradientStatistics

UNIT = "encoder.layers.0.fc2"


def planted(means, chunks, noise=1.0, shared=0.0, seed=0, width=100):
    """Return statistics of one unit, of probes around each language's mean gradient.

    Args:
        means: language -> mean gradient, of any length up to ``width``.
        chunks: probes a language, one in each chunk.
        noise: expected length of what is added to each probe; language -> length, or one for all.
        shared: expected length of what is added to all the probes of a chunk.
        seed: of the noise.
        width: dimensions of the noise.
    """
    generator = np.random.default_rng(seed)
    languages = tuple(sorted(means))
    lengths = [noise[own] if isinstance(noise, dict) else noise for own in languages]
    probes = generator.normal(size=(len(languages), chunks, width)) / width**0.5
    probes *= np.array(lengths)[:, None, None]
    probes += shared * generator.normal(size=(1, chunks, width)) / width**0.5
    for own, language in zip(probes, languages):
        own[:, : len(means[language])] += means[language]
    return of_probes(
        {
            (own, chunk): probes[i, chunk]
            for i, own in enumerate(languages)
            for chunk in range(chunks)
        }
    )


def of_probes(probes):
    """Return statistics of one unit from ``{(language, chunk): vector}``."""
    languages = sorted({language for language, _ in probes})
    vectors = np.array(list(probes.values()), dtype=np.float64)
    return GradientStatistics(
        languages=tuple(languages),
        units=(UNIT,),
        unit_parameters=np.array([vectors.shape[1]]),
        shared_parameters=1000,
        gram=(vectors @ vectors.T)[None],
        probe_languages=np.array([languages.index(language) for language, _ in probes]),
        probe_chunks=np.array([chunk for _, chunk in probes]),
        probe_tokens=np.full(len(probes), 10.0),
    )


def groups_of(groups, common=0.5, own=0.0):
    """Return mean gradients of length 1 of languages in groups.

    Args:
        groups: lists of languages.
        common: cosine between languages of different groups.
        own: what of the rest each language has in a direction of its own, instead of its group's.
    """
    axes = np.eye(40)
    languages = sorted(language for group in groups for language in group)
    return {
        language: common**0.5 * axes[0]
        + ((1 - common) * (1 - own)) ** 0.5 * axes[1 + number]
        + ((1 - common) * own) ** 0.5 * axes[20 + languages.index(language)]
        for number, group in enumerate(groups)
        for language in group
    }


def conflict(groups, common=0.1):
    """Return mean gradients that agree in one direction and are opposed in another."""
    return {
        language: np.array([common**0.5, sign * (1 - common) ** 0.5])
        for sign, group in zip((1.0, -1.0), groups)
        for language in group
    }


def renamed(statistics, order):
    """Return the same gradients with language i called what language ``order[i]`` was called."""
    labels = np.asarray(order)[statistics.probe_languages]
    turn = np.argsort(labels, kind="stable")
    return GradientStatistics(
        languages=statistics.languages,
        units=statistics.units,
        unit_parameters=statistics.unit_parameters,
        shared_parameters=statistics.shared_parameters,
        gram=statistics.gram[:, turn][:, :, turn],
        probe_languages=labels[turn],
        probe_chunks=statistics.probe_chunks[turn],
        probe_tokens=statistics.probe_tokens[turn],
    )
