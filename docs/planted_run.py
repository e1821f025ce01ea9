"""Write a run whose structure is known: ``planted_run.py FOLDER``, then ``fairseq-gist report``.

Twelve languages of four families. Gradients of one family share a direction, all share another,
more in deeper layers; on ``fc1`` of the first layer one family pulls against the others; the final
norm is noise. The report finds all of it: ``docs/img/report-planted.png`` is what it looks like.
"""

import sys
from pathlib import Path

import numpy as np

from fairseq_gist.architectures import PLAIN
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation

FAMILIES = {
    "Germanic": ["de", "nl", "sv"],
    "Romance": ["es", "fr", "it", "pt"],
    "Slavic": ["cs", "pl", "ru"],
    "Semitic": ["ar", "he"],
}
FAMILY_OF = {language: name for name, own in FAMILIES.items() for language in own}
LANGUAGES = sorted(FAMILY_OF)
LAYERS, CHUNKS, WIDTH = 6, 8, 300
ATTENTION = [
    f"{module}.{projection}_proj"
    for module in ("self_attn", "encoder_attn")
    for projection in "kvq"
]
SIZES = dict.fromkeys(ATTENTION, 262656)
SIZES.update({"fc1": 1_050_624, "fc2": 1_049_088, "final_layer_norm": 1_024})
AGAINST, CONFLICT, NOISE = "Semitic", "decoder.layers.0.fc1", "decoder.layer_norm"


def gradients(unit, layer, generator):
    """Return every language's gradient, `[languages, width]`."""
    common, *own = generator.normal(size=(1 + len(FAMILIES), WIDTH))
    of_family = dict(zip(FAMILIES, own))
    vectors = []
    for language in LANGUAGES:
        family = FAMILY_OF[language]
        share = -1.0 if (unit, family) == (CONFLICT, AGAINST) else 0.4 + 0.25 * layer
        vector = share * common + of_family[family] + generator.normal(size=WIDTH)
        vectors.append(0 * vector if unit == NOISE else vector)
    return np.array(vectors)


def planted():
    """Return the statistics."""
    generator = np.random.default_rng(7)
    sizes = {
        f"decoder.layers.{layer}.{kind}": size
        for layer in range(LAYERS)
        for kind, size in SIZES.items()
    }
    sizes[NOISE] = 1_024
    gram = []
    for unit in sizes:
        layer = 0 if unit == NOISE else int(unit.split(".")[2])
        probes = np.repeat(gradients(unit, layer, generator), CHUNKS, axis=0)
        probes = probes + 2 * generator.normal(size=probes.shape)
        gram.append(probes @ probes.T)
    return GradientStatistics(
        languages=tuple(LANGUAGES),
        units=tuple(sizes),
        unit_parameters=np.array(list(sizes.values())),
        shared_parameters=76_327_936,
        gram=np.array(gram),
        probe_languages=np.repeat(np.arange(len(LANGUAGES)), CHUNKS),
        probe_chunks=np.tile(np.arange(CHUNKS), len(LANGUAGES)),
        probe_tokens=np.full(len(LANGUAGES) * CHUNKS, 1_000.0),
        provenance={"gradients_from": "planted structure"},
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    statistics = planted()
    statistics.save(folder / "statistics.npz")
    shape = shape_of_statistics(statistics, PLAIN)
    decide("gradient", Situation(shape, statistics), size_budget="1.7").save(folder / "plan.json")
