"""Corpus-level BLEU and chrF for every language, by sacreBLEU."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from fairseq_gist.evaluation.references import Reference
from fairseq_gist.evaluation.sentences import (
    METRICS,
    SentenceStatistics,
    corpus_score,
    count_sentences,
)

__all__ = ["AVERAGE", "CorpusScores", "score_corpus", "scores_of_sentences"]

AVERAGE = "average"
"""Key of the plain mean over the languages, beside the languages' own."""


class CorpusScores(NamedTuple):
    """Scores of one system, language -> score and :data:`AVERAGE` -> their plain mean."""

    bleu: Dict[str, float]
    chrf: Dict[str, float]
    bleu_signature: str
    chrf_signature: str
    sentences: Dict[str, SentenceStatistics]
    """What the scores are computed from, by language in alphabetical order."""

    def of(self, metric: str) -> Dict[str, float]:
        """Return the scores by one of :data:`METRICS`."""
        return self.bleu if metric == "bleu" else self.chrf

    def title(self, metric: str) -> str:
        """Return how the metric is written."""
        return next(iter(self.sentences.values())).title(metric)


def score_corpus(
    hypotheses: Sequence[str], references: Sequence[Reference], word_order: int = 0
) -> CorpusScores:
    """Score hypothesis ``i`` against reference ``i``, each language as a corpus of its own.

    ``word_order`` is that of chrF, one of :data:`~fairseq_gist.evaluation.sentences.WORD_ORDERS`.
    """
    sentences: Dict[str, SentenceStatistics] = {}
    signatures: Dict[str, Dict[str, str]] = {metric: {} for metric in METRICS}
    for language, (texts, rows) in _by_language(hypotheses, references).items():
        targets = {row.target or language for row in rows}
        written = targets.pop() if len(targets) == 1 else ""  # BLEU's usual tokeniser
        plain = [row.text for row in rows]
        sentences[language], found = count_sentences(written, texts, plain, word_order)
        for metric in METRICS:
            signatures[metric][language] = found[metric]
    return CorpusScores(
        scores_of_sentences("bleu", sentences),
        scores_of_sentences("chrf", sentences),
        _one_signature(signatures["bleu"]),
        _one_signature(signatures["chrf"]),
        sentences,
    )


def scores_of_sentences(metric: str, sentences: Dict[str, SentenceStatistics]) -> Dict[str, float]:
    """Return every language's corpus score and their average."""
    scores: Dict[str, float] = {}
    for language, statistics in sentences.items():
        counts: Any = getattr(statistics, metric)
        scores[language] = corpus_score(metric, counts.sum(axis=0, dtype="int64").tolist())
    scores[AVERAGE] = sum(scores.values()) / len(scores)
    return scores


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
