"""The scores file: what ``fairseq-gist score`` writes and takes in again as a system.

``docs/scores-format.md`` describes it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from fairseq_gist.errors import DataError, OptionError, shortened
from fairseq_gist.evaluation.metrics import metric_called
from fairseq_gist.evaluation.packing import pack, unpack
from fairseq_gist.evaluation.scores import CorpusScores, Scored, Sentences
from fairseq_gist.files import read_object, replacing

__all__ = [
    "SCHEMA",
    "Compared",
    "Run",
    "read_all_scores",
    "read_compared",
    "read_scores",
    "write_scores",
]

SCHEMA = 2
"""Version of the file's layout; a reader takes the first too and refuses newer ones."""


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
        return sum(each.count for each in self.scores.sentences.values())


class Compared(NamedTuple):
    """Who was compared with whom when scores were written."""

    baseline: str
    pairs: List[Tuple[str, str]]
    """Beside those of every system with the baseline."""


def write_scores(path: Path, runs: Sequence[Run], compared: Optional[Compared] = None) -> None:
    """Write the scores of systems, one entry a seed, and what they were compared with."""
    content: Dict[str, Any] = {"schema": SCHEMA}
    if compared:
        content["baseline"] = compared.baseline
        content["comparisons"] = [list(pair) for pair in compared.pairs]
    content["systems"] = [_entry(run) for run in runs]
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
    return [_run(path, entry, name) for entry in own or found]


def read_all_scores(path: Path) -> List[Run]:
    """Read every system of a scores file under the name it has there.

    Raises:
        DataError: when the file is none of scores, or was written before sentence statistics were.
    """
    return [
        _run(path, entry, str(entry.get("name")))
        for entry in _entries(path)
        if isinstance(entry, dict)
    ]


def read_compared(path: Path) -> Optional[Compared]:
    """Return who was compared with whom; None where the file doesn't say.

    Raises:
        DataError: when the file is none of scores, or its comparisons are no pairs of names.
    """
    content = read_object(path, "a scores file")
    baseline, pairs = content.get("baseline"), content.get("comparisons", [])
    if baseline is None:
        return None
    are_pairs = isinstance(pairs, list) and all(
        isinstance(pair, list) and [type(name) for name in pair] == [str, str] for pair in pairs
    )
    if not isinstance(baseline, str) or not are_pairs:
        raise DataError(
            f"{path}: expected a baseline and comparisons of two systems each, found "
            f"{baseline!r} and {pairs!r}"
        )
    return Compared(baseline, [(name, other) for name, other in pairs])


def _entry(run: Run) -> Dict[str, Any]:
    by_metric = run.scores.by_metric
    return {
        "name": run.name,
        "subset": run.subset,
        "parameters": run.parameters,
        "hypotheses": run.sentence_count,
        "references": run.sentence_count,
        "metrics": {
            name: {
                "title": scored.metric.title,
                "options": scored.metric.plain_options(),
                "signature": scored.signature,
                "scores": dict(scored.scores),
            }
            for name, scored in by_metric.items()
        },
        "sentences": {
            language: {
                "count": sentences.count,
                "references": sentences.references,
                "statistics": {
                    name: pack(scored.statistics[language], scored.metric)
                    for name, scored in by_metric.items()
                },
            }
            for language, sentences in run.scores.sentences.items()
        },
    }


_EXPECTED = "a scores file, or the folder that fairseq-generate wrote translations to"


def _entries(path: Path) -> List[Any]:
    content = read_object(path, _EXPECTED)
    entries = content.get("systems")
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected {_EXPECTED}, found JSON without a list 'systems'")
    schema = content.get("schema", 1)
    if type(schema) is not int or schema not in (1, SCHEMA):
        raise DataError(
            f"{path}: expected scores of schema {SCHEMA}, found {shortened(repr(schema))}; read "
            "it with the version of fairseq-gist that wrote it, or a later one"
        )
    return [_upgraded(entry) for entry in entries] if schema == 1 else entries


def _upgraded(entry: Any) -> Any:
    """Return an entry of schema 1, which had BLEU and chrF and nothing else, as one of today's."""
    if not isinstance(entry, dict) or "sentences" not in entry:
        return entry
    chrf = str(entry.get("chrf_signature"))
    order = next((order for order in (1, 2) if f"|nw:{order}|" in chrf), 0)
    metrics: Dict[str, Any] = {
        "bleu": {"options": {}, "signature": entry.get("signature")},
        "chrf": {"options": {"word_order": order}, "signature": entry.get("chrf_signature")},
    }
    for name, own in metrics.items():
        own["scores"] = entry.get(name)
    sentences = {
        language: {**own, "statistics": {name: own.get(name) for name in metrics}}
        for language, own in entry["sentences"].items()
    }
    return {**entry, "metrics": metrics, "sentences": sentences}


def _run(path: Path, entry: Dict[str, Any], name: str) -> Run:
    what = f"{path}: system '{entry.get('name')}'"
    if "sentences" not in entry:
        raise DataError(
            f"{what} has no sentence statistics, so no p can be "
            "computed; an earlier version wrote the file, score the translations again"
        )
    try:
        sentences = {
            str(language): Sentences(int(own["count"]), str(own["references"]))
            for language, own in sorted(entry["sentences"].items())
        }
        by_metric = {
            metric: _scored(metric, own, entry["sentences"], sentences)
            for metric, own in sorted(entry["metrics"].items())
        }
        parameters = entry["parameters"]
        return Run(
            name,
            str(entry["subset"]),
            None if parameters is None else int(parameters),
            CorpusScores(sentences, by_metric),
            path,
        )
    except OptionError as error:
        raise DataError(f"{what}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise DataError(
            f"{what} is not as fairseq-gist score writes it ({type(error).__name__}: {error})"
        ) from error


def _scored(
    name: str, own: Dict[str, Any], packed: Dict[str, Any], sentences: Dict[str, Sentences]
) -> Scored:
    """Return the scores that follow from the statistics, unless the stored ones are others."""
    kind = metric_called(name)
    metric = kind(kind.Options(**own["options"]))
    statistics = {
        language: unpack(packed[language]["statistics"][name], metric, each.count)
        for language, each in sentences.items()
    }
    scored = Scored.of(metric, _text(own["signature"]), statistics)
    stored = own["scores"]
    if stored.keys() != scored.scores.keys() or not all(
        math.isclose(float(stored[key]), score, abs_tol=1e-6)
        for key, score in scored.scores.items()
    ):
        raise ValueError(f"{metric.title} doesn't follow from the sentence statistics")
    return scored


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a signature, found {value!r}")
    return value
