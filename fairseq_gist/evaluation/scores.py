"""Corpus-level BLEU and chrF for every language, by sacreBLEU."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from sacrebleu.metrics import BLEU, CHRF

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.references import Reference

__all__ = ["AVERAGE", "CorpusScores", "score_corpus"]

AVERAGE = "average"
"""Key of the plain mean over the languages, beside the languages' own."""


class CorpusScores(NamedTuple):
    """Scores of one system, language -> score and :data:`AVERAGE` -> their plain mean."""

    bleu: Dict[str, float]
    chrf: Dict[str, float]
    bleu_signature: str
    chrf_signature: str


def score_corpus(hypotheses: Sequence[str], references: Sequence[Reference]) -> CorpusScores:
    """Score hypothesis ``i`` against reference ``i``, each language as a corpus of its own."""
    bleu: Dict[str, float] = {}
    chrf: Dict[str, float] = {}
    signatures: List[Dict[str, str]] = [{}, {}]
    for language, (texts, targets) in _by_language(hypotheses, references).items():
        metrics = (_bleu(language), CHRF())
        for metric, scores, signature in zip(metrics, (bleu, chrf), signatures):
            scores[language] = metric.corpus_score(texts, [targets]).score
            signature[language] = str(metric.get_signature())
    for scores in (bleu, chrf):
        scores[AVERAGE] = sum(scores.values()) / len(scores)
    return CorpusScores(bleu, chrf, *(_one_signature(each) for each in signatures))


def _by_language(
    hypotheses: Sequence[str], references: Sequence[Reference]
) -> Dict[str, Tuple[List[str], List[str]]]:
    """Group hypotheses and their references by language, in alphabetical order."""
    groups: Dict[str, Tuple[List[str], List[str]]] = {
        language: ([], []) for language in sorted({row.language for row in references})
    }
    for hypothesis, reference in zip(hypotheses, references):
        texts, targets = groups[reference.language]
        texts.append(hypothesis)
        targets.append(reference.text)
    return groups


def _bleu(language: str) -> Any:
    """Return BLEU with the tokeniser sacreBLEU advises: 13a, except for zh, ja and ko."""
    base = language.replace("_", "-").split("-")[0].lower()
    try:
        return BLEU(trg_lang=base)
    except (ImportError, RuntimeError) as error:
        raise OptionError(
            f"BLEU for '{language}' needs a tokeniser that is not installed: "
            f"pip install 'sacrebleu[{base}]'"
        ) from error


def _one_signature(by_language: Dict[str, str]) -> str:
    """Return the signature, with the languages it is for where they differ."""
    languages: Dict[str, List[str]] = {}
    for language, signature in by_language.items():
        languages.setdefault(signature, []).append(language)
    if len(languages) == 1:
        return next(iter(languages))
    return "; ".join(f"{', '.join(names)}: {signature}" for signature, names in languages.items())
