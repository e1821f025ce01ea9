"""Gradients of a feed-forward block in which some neurons are planted to conflict."""

from __future__ import annotations

import numpy as np

from fairseq_gist.gradients.neurons import NeuronGrams
from fairseq_gist.gradients.statistics import GradientStatistics

FIRST, SECOND = "encoder.layers.0.fc1", "encoder.layers.0.fc2"
HIDDEN, FEATURES = 24, 6
WIDTHS = (FEATURES + 1, FEATURES)  # of a neuron in the first projection, and in the second


def planted_block(
    groups, conflicting, chunks=8, noise=1.0, strength=1.0, seed=0, first=FIRST, second=SECOND
):
    """Return statistics of a block: on ``conflicting`` neurons every group has its own way.

    On all the others the languages go one way. ``noise`` is the length of what is added to each
    probe, beside 1 for the way that all go and ``strength`` for the groups' own.
    """
    generator = np.random.default_rng(seed)
    languages = sorted(language for group in groups for language in group)
    shape = (HIDDEN, sum(WIDTHS))
    agreeing = [unit for unit in range(HIDDEN) if unit not in conflicting]
    common = _on(agreeing, 1, generator, shape)[0]
    own = _on(conflicting, len(groups), generator, shape) * strength
    probes, labels, numbers = [], [], []
    for index, language in enumerate(languages):
        group = next(i for i, members in enumerate(groups) if language in members)
        for chunk in range(chunks):
            added = generator.normal(size=shape) * noise / np.sqrt(np.prod(shape))
            probes.append(common + own[group] + added)
            labels.append(index)
            numbers.append(chunk)
    return of_neuron_probes(languages, np.array(probes), labels, numbers, first, second)


def of_neuron_probes(languages, probes, labels, chunks, first=FIRST, second=SECOND):
    """Return statistics of one block from its gradients, `[probes, neurons, parameters]`."""
    one, other = probes[..., : WIDTHS[0]], probes[..., WIDTHS[0] :]
    neurons = np.einsum("phi,qhi->hpq", probes, probes).astype(np.float32)
    flat = [part.reshape(len(probes), -1) for part in (one, other)]
    return GradientStatistics(
        languages=tuple(languages),
        units=(first, second),
        unit_parameters=np.array([flat[0].shape[1], flat[1].shape[1] + FEATURES]),  # a bias
        shared_parameters=100_000,
        gram=np.stack([part @ part.T for part in flat]),
        probe_languages=np.array(labels),
        probe_chunks=np.array(chunks),
        probe_tokens=np.array([10.0 + label for label in labels]),
        neurons={first: NeuronGrams(second, neurons, *WIDTHS)},
    )


def _on(units, count, generator, shape):
    """Return vectors of length 1, at right angles, on some of the neurons; zeros on none."""
    vectors = np.zeros((count, *shape))
    if len(units):
        drawn = generator.normal(size=(len(units) * shape[1], count))
        vectors[:, list(units)] = np.linalg.qr(drawn)[0].T.reshape(count, len(units), shape[1])
    return vectors
