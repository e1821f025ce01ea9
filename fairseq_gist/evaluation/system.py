"""One system's translations beside the references they belong to."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation.ordering import in_order
from fairseq_gist.evaluation.outputs import output_path, read_hypotheses
from fairseq_gist.evaluation.per_language import languages_translated, read_per_language
from fairseq_gist.evaluation.references import Reference, read_references
from fairseq_gist.languages.rows import TARGET

__all__ = ["System", "read_system"]


class System(NamedTuple):
    """A named system: hypothesis ``i`` translates reference ``i``."""

    name: str
    hypotheses: List[str]
    references: List[Reference]


def read_system(
    name: str, directory: Path, data: Path, subsets: Sequence[str], key: str = TARGET
) -> System:
    """Read the outputs of ``subsets`` in ``directory`` and the references in ``data``.

    A subset's output is one file, or one a language (:mod:`~fairseq_gist.evaluation.per_language`).
    ``key`` is what a row's language is, one of :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.

    Raises:
        DataError: when a row of a subset has no hypothesis, or the outputs are of other data.
    """
    hypotheses: List[str] = []
    references: List[Reference] = []
    for subset in subsets:
        path = output_path(directory, subset)
        rows = read_references(data, subset, key)
        if path.is_file():
            hypotheses += in_order(read_hypotheses(path), rows, f"system '{name}', {path}")
        elif languages_translated(directory, subset, rows):
            hypotheses += read_per_language(name, directory, data, subset, rows, key)
        else:
            raise DataError(
                f"system '{name}': no file {path}; run fairseq-generate with --gen-subset {subset} "
                f"--results-path {directory}"
            )
        references += rows
    return System(name, hypotheses, references)
