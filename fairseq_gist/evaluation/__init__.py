"""Scores of translations: read what fairseq-generate wrote, score it, compare, lay out."""

from fairseq_gist.evaluation.layouts import metric_tables, table_paths, write_tables
from fairseq_gist.evaluation.outputs import output_path, read_hypotheses
from fairseq_gist.evaluation.references import Reference, key_of, read_references
from fairseq_gist.evaluation.results import (
    Results,
    check_comparable,
    collect,
    metrics_of,
    pairs_of,
)
from fairseq_gist.evaluation.samples import samples
from fairseq_gist.evaluation.scores import CorpusScores, score_corpus
from fairseq_gist.evaluation.scores_file import (
    Compared,
    Run,
    read_all_scores,
    read_compared,
    read_scores,
    write_scores,
)
from fairseq_gist.evaluation.system import System, read_system
from fairseq_gist.evaluation.verdict import verdicts

__all__ = [
    "Compared",
    "CorpusScores",
    "Reference",
    "Results",
    "Run",
    "System",
    "check_comparable",
    "collect",
    "key_of",
    "metric_tables",
    "metrics_of",
    "output_path",
    "pairs_of",
    "read_all_scores",
    "read_compared",
    "read_hypotheses",
    "read_references",
    "read_scores",
    "read_system",
    "samples",
    "score_corpus",
    "table_paths",
    "verdicts",
    "write_scores",
    "write_tables",
]
