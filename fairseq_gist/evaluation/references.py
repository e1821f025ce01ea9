"""References, straight from the manifest: not through the vocabulary, as in fairseq's output."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple

from fairseq_gist.errors import DataError
from fairseq_gist.files import read_table
from fairseq_gist.languages.rows import TARGET, row_languages, target_languages

__all__ = ["Reference", "read_references"]


class Reference(NamedTuple):
    """One row of a subset; its place in the list is the number in ``D-NUMBER``."""

    language: str
    text: str
    source: str
    """What was said, empty where the manifest doesn't tell."""
    row: str = ""
    """The row's ``id``, empty where the manifest has none."""
    target: str = ""
    """What language the text is in: empty where it is ``language``, ``und`` where nothing tells."""


def read_references(data: Path, subset: str, key: str = TARGET) -> List[Reference]:
    """Read the rows of ``DATA/SUBSET.tsv`` in the order in which fairseq counts them.

    Args:
        data: folder of the manifests.
        subset: name of one.
        key: what a row's language is, one of :data:`~fairseq_gist.languages.rows.LANGUAGE_KEYS`.

    Raises:
        DataError: when there are no rows, or a row has no target or no language.
    """
    path = data / f"{subset}.tsv"
    rows = read_table(path)
    if not rows:
        raise DataError(f"{path}: the manifest has no rows")
    for line, row in enumerate(rows, start=2):
        if row.get("tgt_text") is None:
            raise DataError(f"{path}, line {line}: no text in the column 'tgt_text'")
    languages = row_languages(rows, subset, (), str(path), key)
    targets = target_languages(rows, subset, languages, key)
    return [
        Reference(
            language,
            row["tgt_text"],
            row.get("src_text") or "",
            row.get("id") or "",
            target,
        )
        for language, target, row in zip(languages, targets, rows)
    ]
