"""One small file of each format, made by the code that makes the large ones."""

import tempfile
from pathlib import Path
from typing import Callable, Dict

import numpy as np

from fairseq_gist.architectures import PLAIN
from fairseq_gist.evaluation import Run, write_scores
from fairseq_gist.evaluation.references import Reference
from fairseq_gist.evaluation.scores import score_corpus
from fairseq_gist.gradients.shape import shape_of_statistics
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation

__all__ = ["WRITTEN_FILES"]

LANGUAGES = ("de", "es", "nl")
DIRECTIONS = {
    "decoder.layers.0.fc1": ([3, 0, 1], [0, 3, 0], [3, 1, 0]),
    "decoder.layer_norm": ([1, 2, 2], [2, 1, 2], [2, 2, 1]),
}
CHUNKS = 4


def _statistics() -> GradientStatistics:
    """Three languages of which two agree on the first unit, and all on the second."""
    generator = np.random.default_rng(1)
    grams = []
    for directions in DIRECTIONS.values():
        probes = np.repeat(np.array(directions, dtype=float), CHUNKS, axis=0)
        probes += 0.2 * generator.normal(size=probes.shape)
        grams.append(probes @ probes.T)
    return GradientStatistics(
        languages=LANGUAGES,
        units=tuple(DIRECTIONS),
        unit_parameters=np.array([1040, 32]),
        shared_parameters=20_000,
        gram=np.array(grams),
        probe_languages=np.repeat(np.arange(len(LANGUAGES)), CHUNKS),
        probe_chunks=np.tile(np.arange(CHUNKS), len(LANGUAGES)),
        probe_tokens=np.full(len(LANGUAGES) * CHUNKS, 600.0),
        provenance={"gradients_from": "multiway", "update": 2000, "chunks": CHUNKS},
    )


def _plan() -> str:
    statistics = _statistics()
    situation = Situation(shape_of_statistics(statistics, PLAIN), statistics=statistics)
    return decide("gradient", situation, size_budget="1.06").to_json()


def _arrays() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "statistics.npz"
        _statistics().save(path)
        with np.load(path) as content:
            rows = [(name, str(content[name].dtype), content[name].shape) for name in content.files]
    return "\n".join(f"{name:20}{kind:12}{shape}" for name, kind, shape in rows)


def _scores() -> str:
    texts = {"de": ("drei Hunde und eine Katze", "drei Hunde und die Katze")}
    rows = [
        Reference(one, reference, "three dogs and the cat") for one, (_, reference) in texts.items()
    ]
    found = score_corpus([hypothesis for hypothesis, _ in texts.values()], rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores.json"
        write_scores(path, [Run("gist", "tst-COMMON", 21_040, found, path)])
        return path.read_text(encoding="utf-8")


WRITTEN_FILES: Dict[str, Callable[[], str]] = {
    "plan": _plan,
    "statistics": _arrays,
    "scores": _scores,
}
