"""Scores of translations: read what fairseq-generate wrote, score it, lay out the comparison."""

from fairseq_gist.evaluation.outputs import output_path, read_hypotheses
from fairseq_gist.evaluation.parameters import count_parameters
from fairseq_gist.evaluation.references import Reference, read_references
from fairseq_gist.evaluation.scores import CorpusScores, score_corpus
from fairseq_gist.evaluation.system import System, align, read_system
from fairseq_gist.evaluation.table import samples, table, verdict

__all__ = [
    "CorpusScores",
    "Reference",
    "System",
    "align",
    "count_parameters",
    "output_path",
    "read_hypotheses",
    "read_references",
    "read_system",
    "samples",
    "score_corpus",
    "table",
    "verdict",
]
