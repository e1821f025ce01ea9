"""The scores file: what ``fairseq-gist score`` writes and takes in again as a system.

``docs/scores-format.md`` describes it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation.scores import CorpusScores, scores_of_sentences
from fairseq_gist.evaluation.sentences import METRICS, SentenceStatistics, pack, unpack
from fairseq_gist.files import replacing

__all__ = ["SCHEMA", "Run", "read_all_scores", "read_scores", "write_scores"]

SCHEMA = 1
"""Version of the file's layout; a reader refuses newer ones."""


class Run(NamedTuple):
    """One seed of a system, scored."""

    name: str
    subset: str
    parameters: Optional[int]
    scores: CorpusScores
    source: Path
    """Where it came from: a directory of translations or a scores file."""

    @property
    def sentence_count(self) -> int:
        """How many sentences were scored."""
        return sum(len(each.bleu) for each in self.scores.sentences.values())


def write_scores(path: Path, runs: Sequence[Run]) -> None:
    """Write the scores of systems, one entry a seed."""
    content = {"schema": SCHEMA, "systems": [_entry(run) for run in runs]}
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_scores(path: Path, name: str) -> List[Run]:
    """Read the entries called ``name``, or the only one whatever it is called.

    Raises:
        DataError: when the file is none of scores, has several systems but not this one, or was
            written before sentence statistics were.
    """
    found = [entry for entry in _entries(path) if isinstance(entry, dict)]
    own = [entry for entry in found if entry.get("name") == name]
    if not own and len(found) != 1:
        names = sorted({str(entry.get("name")) for entry in found})
        raise DataError(
            f"{path}: expected one system or one called '{name}', found "
            f"{', '.join(names) if names else 'none'}"
        )
    return [_run(path, name, entry) for entry in own or found]


def read_all_scores(path: Path) -> List[Run]:
    """Read every system of a scores file under the name it has there.

    Raises:
        DataError: when the file is none of scores, or was written before sentence statistics were.
    """
    return [
        _run(path, str(entry.get("name")), entry)
        for entry in _entries(path)
        if isinstance(entry, dict)
    ]


def _entry(run: Run) -> Dict[str, Any]:
    sentences = {
        language: {
            "count": len(statistics.bleu),
            "references": statistics.references,
            **{metric: pack(getattr(statistics, metric)) for metric in METRICS},
        }
        for language, statistics in run.scores.sentences.items()
    }
    return {
        "name": run.name,
        "subset": run.subset,
        "parameters": run.parameters,
        "hypotheses": run.sentence_count,
        "references": run.sentence_count,
        "bleu": run.scores.bleu,
        "chrf": run.scores.chrf,
        "signature": run.scores.bleu_signature,
        "chrf_signature": run.scores.chrf_signature,
        "sentences": sentences,
    }


def _entries(path: Path) -> List[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected a scores file, found no JSON ({error})") from error
    entries = content.get("systems") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a scores file, found JSON without a list 'systems'")
    schema = content.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise DataError(
            f"{path}: expected scores of schema {SCHEMA}, found {schema}; read it with the "
            "version of fairseq-gist that wrote it, or a later one"
        )
    return entries


def _run(path: Path, name: str, entry: Dict[str, Any]) -> Run:
    if "sentences" not in entry:
        raise DataError(
            f"{path}: system '{entry.get('name')}' has no sentence statistics, so no p can be "
            "computed; an earlier version wrote the file, score the translations again"
        )
    try:
        sentences = {
            str(language): SentenceStatistics(
                **{metric: unpack(own[metric], metric, int(own["count"])) for metric in METRICS},
                references=str(own["references"]),
            )
            for language, own in sorted(entry["sentences"].items())
        }
        parameters = entry["parameters"]
        scores = CorpusScores(
            scores_of_sentences("bleu", sentences),
            scores_of_sentences("chrf", sentences),
            str(entry["signature"]),
            str(entry["chrf_signature"]),
            sentences,
        )
        _check_scores(entry, scores)
        return Run(
            name,
            str(entry["subset"]),
            None if parameters is None else int(parameters),
            scores,
            path,
        )
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise DataError(
            f"{path}: system '{entry.get('name')}' is not as fairseq-gist score writes it "
            f"({type(error).__name__}: {error})"
        ) from error


def _check_scores(entry: Dict[str, Any], scores: CorpusScores) -> None:
    """Raise ValueError unless the stored scores follow from the sentence statistics."""
    for metric, title in METRICS.items():
        found = scores.of(metric)
        stored = entry[metric]
        if stored.keys() != found.keys() or not all(
            math.isclose(float(stored[key]), found[key], abs_tol=1e-6) for key in found
        ):
            raise ValueError(f"{title} doesn't follow from the sentence statistics")
