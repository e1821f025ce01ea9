"""References, straight from the manifest: not through the vocabulary, as in fairseq's output."""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple, Sequence

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import read_table
from fairseq_gist.languages.rows import TARGET, row_languages, target_languages

__all__ = ["Reference", "key_of", "read_references"]


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


def key_of(data: Path, subsets: Sequence[str]) -> str:
    """Return what a row's language is where nobody says: what it is translated into.

    Raises:
        OptionError: when all rows are translated into one language from several, which would make
            one row of the table of all of them.
    """
    rows = [row for subset in subsets for row in read_table(data / f"{subset}.tsv")]
    spoken, targets = (
        sorted({row.get(column) or "" for row in rows}) for column in ("src_lang", "tgt_lang")
    )
    if len(spoken) > 1 and len(targets) < 2:
        raise OptionError(
            f"--language-key: all rows of {', '.join(subsets)} are translated into "
            f"'{targets[0] if targets else ''}', from {len(spoken)} languages "
            f"({', '.join(spoken)}); say whether scores are by source (src), by target (tgt) or by "
            "both (pair)"
        )
    return TARGET


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
