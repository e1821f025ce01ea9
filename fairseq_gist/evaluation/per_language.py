"""A subset that was translated one language at a time, by models of one language each.

Language XX then has the manifest ``SUBSET_XX.tsv`` and the output ``generate-SUBSET_XX.txt``. Its
rows are those of ``SUBSET.tsv`` in that language; the column ``id`` says which is which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Sequence

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation.ordering import in_order
from fairseq_gist.evaluation.outputs import output_path, read_hypotheses
from fairseq_gist.evaluation.references import Reference, read_references
from fairseq_gist.languages.rows import TARGET

__all__ = ["languages_translated", "read_per_language"]


def languages_translated(directory: Path, subset: str, rows: Sequence[Reference]) -> List[str]:
    """Return the languages of ``rows`` that have an output of their own in ``directory``."""
    languages = sorted({row.language for row in rows})
    return [each for each in languages if output_path(directory, _own(subset, each)).is_file()]


def read_per_language(
    name: str,
    directory: Path,
    data: Path,
    subset: str,
    rows: Sequence[Reference],
    key: str = TARGET,
) -> List[str]:
    """Return the hypotheses of all languages in the order of ``rows``, one each.

    Raises:
        DataError: when a language has no output or no manifest, or its manifest has other rows.
    """
    languages = sorted({row.language for row in rows})
    there = languages_translated(directory, subset, rows)
    missing = [language for language in languages if language not in there]
    if missing:
        raise DataError(
            f"system '{name}': {directory} has translations of {subset} for {', '.join(there)}, "
            f"none for {', '.join(missing)}; run fairseq-generate with --gen-subset "
            f"{_own(subset, missing[0])}"
        )
    places = _places(rows, data / f"{subset}.tsv")
    hypotheses = [""] * len(rows)
    for language in languages:
        own_subset = _own(subset, language)
        manifest = data / f"{own_subset}.tsv"
        if not manifest.is_file():
            raise DataError(
                f"system '{name}': no manifest {manifest} for the translations in "
                f"{output_path(directory, own_subset)}"
            )
        own = read_references(data, own_subset, key)
        _check_rows(own, [row for row in rows if row.language == language], manifest, subset)
        path = output_path(directory, own_subset)
        texts = in_order(read_hypotheses(path), own, f"system '{name}', {path}")
        for reference, text in zip(own, texts):
            hypotheses[places[reference.row]] = text
    return hypotheses


def _own(subset: str, language: str) -> str:
    return f"{subset}_{language}"


def _places(rows: Sequence[Reference], manifest: Path) -> Dict[str, int]:
    """Map each row's id to its place."""
    places: Dict[str, int] = {}
    for place, row in enumerate(rows):
        if not row.row or row.row in places:
            raise DataError(
                f"{manifest}, line {place + 2}: expected an id of its own in the column 'id', "
                f"found '{row.row}'; translations per language are put together by it"
            )
        places[row.row] = place
    return places


def _check_rows(
    own: Sequence[Reference], expected: Sequence[Reference], manifest: Path, subset: str
) -> None:
    """Raise unless the manifest of a language has that language's rows of the subset."""
    wanted = {row.row: (row.language, row.text) for row in expected}
    found = {row.row: (row.language, row.text) for row in own}
    if len(own) != len(found) or found.keys() != wanted.keys():
        odd = sorted(found.keys() ^ wanted.keys())
        raise DataError(
            f"{manifest}: expected the {len(wanted)} rows that {subset}.tsv has in this language, "
            f"found {len(own)}, {len(odd)} ids are in one of the two only"
            + (f", the first is '{odd[0]}'" if odd else "")
        )
    for row, content in found.items():
        if content != wanted[row]:
            raise DataError(
                f"{manifest}: row '{row}' has another target text or language than in {subset}.tsv"
            )
