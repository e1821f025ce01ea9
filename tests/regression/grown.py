"""A data set of this folder with one more language, as `fairseq-gist add-language` wants it."""

from pathlib import Path

from tests.regression import make


def grown(data: Path, folder: Path, language: str, like: str) -> Path:
    """Return a copy of a data set in which the rows of ``like`` are there for ``language``, too.

    Where languages have tags, the vocabulary gets that of ``language``, behind all others.
    """
    make.usable(data, folder)
    words = folder / "words.txt"
    symbols = words.read_text(encoding="utf-8")
    if f"<lang:{like}>" in symbols:
        words.write_text(f"{symbols}<lang:{language}> 1\n", encoding="utf-8")
    for path in folder.glob("*.tsv"):
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        more = [
            "\t".join(language if cell == like else cell for cell in row.split("\t"))
            for row in rows
        ]
        both = [
            line
            for row, other in zip(rows, more)
            for line in ([row] if other == row else [row, f"{language}_{other}"])
        ]
        path.write_text("\n".join([head, *both, ""]), encoding="utf-8")
    return folder
