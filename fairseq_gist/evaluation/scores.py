"""Corpus-level scores for every language, by every metric that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from fairseq_gist.evaluation.metrics import Metric, Statistics, Texts, default_metrics
from fairseq_gist.evaluation.packing import fingerprint
from fairseq_gist.evaluation.references import Reference
from fairseq_gist.languages.rows import UNKNOWN

__all__ = ["AVERAGE", "CorpusScores", "Scored", "Sentences", "score_corpus"]

AVERAGE = "average"
"""Key of the plain mean over the languages, beside the languages' own."""


@dataclass(frozen=True)
class Sentences:
    """The sentences of one language that were scored."""

    count: int
    references: str
    """Fingerprint of the reference texts."""


@dataclass(frozen=True)
class Scored:
    """One system by one metric."""

    metric: Metric
    signature: str
    statistics: Mapping[str, Statistics]
    """By language: what the scores are computed from."""
    scores: Mapping[str, float]
    """By language, and :data:`AVERAGE` -> their plain mean."""

    @classmethod
    def of(cls, metric: Metric, signature: str, statistics: Mapping[str, Statistics]) -> Scored:
        """Return the scores that follow from the statistics."""
        scores = {language: metric.score(own) for language, own in statistics.items()}
        scores[AVERAGE] = sum(scores.values()) / len(scores)
        return cls(metric, signature, statistics, scores)


@dataclass(frozen=True)
class CorpusScores:
    """One system by every metric."""

    sentences: Mapping[str, Sentences]
    """By language in alphabetical order."""
    by_metric: Mapping[str, Scored]
    """By the metric's name."""

    def of(self, metric: str) -> Mapping[str, float]:
        """Return the scores by the metric of that name, language -> score."""
        return self.by_metric[metric].scores


def score_corpus(
    hypotheses: Sequence[str],
    references: Sequence[Reference],
    metrics: Optional[Sequence[Metric]] = None,
) -> CorpusScores:
    """Score hypothesis ``i`` against reference ``i``, each language as a corpus of its own.

    Args:
        hypotheses: the translations.
        references: as many.
        metrics: what to score by; None for the default ones.
    """
    texts = {
        language: _texts(language, own, rows)
        for language, (own, rows) in _by_language(hypotheses, references).items()
    }
    sentences = {
        language: Sentences(len(own.references), fingerprint(own.references))
        for language, own in texts.items()
    }
    by_metric = {}
    for metric in default_metrics() if metrics is None else metrics:
        measured = {language: metric.measure(own) for language, own in texts.items()}
        signature = _one_signature({key: found.signature for key, found in measured.items()})
        statistics = {key: found.statistics for key, found in measured.items()}
        by_metric[metric.name] = Scored.of(metric, signature, statistics)
    return CorpusScores(sentences, by_metric)


def _texts(language: str, hypotheses: List[str], rows: List[Reference]) -> Texts:
    targets = {row.target or language for row in rows}
    written = targets.pop() if len(targets) == 1 else UNKNOWN
    written = "" if written == UNKNOWN else written
    return Texts(written, hypotheses, [row.text for row in rows], [row.source for row in rows])


def _by_language(
    hypotheses: Sequence[str], references: Sequence[Reference]
) -> Dict[str, Tuple[List[str], List[Reference]]]:
    """Group hypotheses and their references by language, in alphabetical order."""
    groups: Dict[str, Tuple[List[str], List[Reference]]] = {
        language: ([], []) for language in sorted({row.language for row in references})
    }
    for hypothesis, reference in zip(hypotheses, references):
        texts, rows = groups[reference.language]
        texts.append(hypothesis)
        rows.append(reference)
    return groups


def _one_signature(by_language: Dict[str, str]) -> str:
    """Return the signature, with the languages it is for where they differ."""
    languages: Dict[str, List[str]] = {}
    for language, signature in by_language.items():
        languages.setdefault(signature, []).append(language)
    if len(languages) == 1:
        return next(iter(languages))
    return "; ".join(f"{', '.join(names)}: {signature}" for signature, names in languages.items())
