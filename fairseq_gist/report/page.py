"""The report's files: one page that holds everything, and the figures beside it."""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.errors import OptionError
from fairseq_gist.files import read_text, replacing_folder, unused_name
from fairseq_gist.files.outputs import check_folder
from fairseq_gist.report.chapters import Chapter
from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.glossary import Reader
from fairseq_gist.report.opening import Opening
from fairseq_gist.report.style import drawing, letters_without_font

__all__ = ["PAGE", "check_target", "grouped", "write_report"]

PAGE = "index.html"
_FIGURES = "figures"
_ENDINGS = (".png", ".svg", ".csv")
_MARK = 'name="generator" content="fairseq-gist'
_TEMPLATE = Path(__file__).with_name("page.html")
_WIDE, _SCROLLED = 600, 460
"""Pixels: a wider figure has the width of a large page for itself; is scrolled on a phone, where it
would get too small to read."""

_LARGEST = 1.5
"""How many times its size a figure may grow with the page."""


class Rendered(NamedTuple):
    """A figure as files."""

    figure: Figure
    name: str
    png: bytes
    svg: bytes
    csv: str
    width: int
    height: int


def check_target(folder: Path) -> None:
    """Raise OptionError unless the folder is new, empty, or an earlier report and nothing else."""
    own, here = folder.resolve(), Path.cwd()
    if own == here or own in here.parents:
        raise OptionError(
            f"-o {folder}: the folder would be replaced while you are in it; name another one"
        )
    if folder.is_dir() and any(folder.iterdir()):
        page = folder / PAGE
        if not page.is_file() or _MARK.encode() not in page.read_bytes():
            raise OptionError(
                f"-o {folder}: the folder holds something else than a report; name another one"
            )
        added = sorted(_not_ours(folder))
        if added:
            raise OptionError(
                f"-o {folder}: beside an earlier report the folder holds {added[0]}, which would "
                "be lost; move that away, or name another folder"
            )
    else:
        check_folder(folder)


def _not_ours(folder: Path) -> Iterator[str]:
    """Yield what somebody else put into the folder of a report."""
    for path in folder.iterdir():
        if path.name == _FIGURES:
            for inner in path.iterdir():
                if inner.suffix not in _ENDINGS:
                    yield f"{_FIGURES}/{inner.name}"
        elif path.name not in (PAGE, ".DS_Store"):
            yield path.name


def write_report(
    folder: Path, title: str, opening: Opening, chapters: Sequence[Chapter], notes: Sequence[str]
) -> None:
    """Draw everything and write page and figures, all or nothing.

    Args:
        folder: replaced if it holds an earlier report.
        title: of the page.
        opening: its top.
        chapters: of the page; those with nothing to show are told at its end.
        notes: at its end.

    Raises:
        OptionError: when the folder holds something else.
    """
    check_target(folder)
    figures = [opening.figure] if opening.figure else []
    figures += [figure for chapter in chapters for figure in chapter.figures]
    texts = [title, *(text for figure in figures for text in _texts(figure))]
    boxes = letters_without_font(texts)
    if boxes:
        notes = [
            *notes,
            f"No font on this machine has {' '.join(boxes)}: the PNG files show boxes in their "
            "place. This page and the SVG files use the fonts of whoever reads them.",
        ]
    with replacing_folder(folder) as target:
        (target / _FIGURES).mkdir()
        names = _unique_names(figures)
        shown: Dict[int, Dict[str, Any]] = {}
        with drawing(texts):
            for figure in tqdm(figures, desc="drawing", unit="figure", disable=None):
                shown[id(figure)] = _write(target / _FIGURES, _render(figure, names[id(figure)]))
        reader = Reader()
        html = _template().render(
            title=title,
            opening=_opening_of_page(opening, shown, reader),
            chapters=[
                _chapter_of_page(chapter, shown, reader) for chapter in chapters if _shows(chapter)
            ],
            absent=grouped([m for c in chapters if not _shows(c) for m in c.missing]),
            notes=notes,
            generator=f"fairseq-gist {__version__}",
        )
        (target / PAGE).write_text(html, encoding="utf-8")


def _shows(chapter: Chapter) -> bool:
    return bool(chapter.answers or chapter.figures)


def _opening_of_page(
    opening: Opening, shown: Mapping[int, Dict[str, Any]], reader: Reader
) -> Dict[str, Any]:
    words = reader.meets(*(sentence.text for sentence in opening.sentences))
    figure = opening.figure and _with_words(opening.figure, shown, reader)
    return {"sentences": opening.sentences, "figure": figure, "words": words}


def _chapter_of_page(
    chapter: Chapter, shown: Mapping[int, Dict[str, Any]], reader: Reader
) -> Dict[str, Any]:
    """Return what the template takes, each text with the words that are new to a reader."""
    words = reader.meets(*(text for answer in chapter.answers for text in answer))
    ordered = sorted(chapter.figures, key=lambda figure: figure.is_folded)
    return {
        "title": chapter.title,
        "answers": chapter.answers,
        "words": words,
        "figures": [_with_words(figure, shown, reader) for figure in ordered],
        "missing": grouped(chapter.missing),
    }


def _with_words(
    figure: Figure, shown: Mapping[int, Dict[str, Any]], reader: Reader
) -> Dict[str, Any]:
    words = reader.meets(figure.title, figure.caption, *figure.table.header)
    return {**shown[id(figure)], "words": words}


def grouped(missing: Sequence[Missing]) -> List[Tuple[str, List[str]]]:
    """Return every reason with the titles of the figures that are missing for it."""
    titles: Dict[str, List[str]] = {}
    for item in missing:
        titles.setdefault(item.why, []).append(item.title)
    return list(titles.items())


def _texts(figure: Figure) -> Iterator[str]:
    yield figure.title
    for row in figure.table.rows:
        yield from (value for value in row if isinstance(value, str))


def _unique_names(figures: Sequence[Figure]) -> Dict[int, str]:
    """Return a file name for each figure, numbered where several have one name."""
    taken = {figure.name for figure in figures}
    counts: Counter[str] = Counter()
    names: Dict[int, str] = {}
    for figure in figures:
        counts[figure.name] += 1
        number = counts[figure.name]
        names[id(figure)] = figure.name if number == 1 else unused_name(figure.name, taken, number)
    return names


def _render(figure: Figure, name: str) -> Rendered:
    drawn = figure.draw()
    images = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        drawn.savefig(buffer, format=kind, metadata=metadata)
        images[kind] = buffer.getvalue()
    width, height = (round(96 * inches) for inches in drawn.get_size_inches())
    return Rendered(
        figure, name, images["png"], images["svg"], figure.table.to_csv(), width, height
    )


def _write(folder: Path, rendered: Rendered) -> Dict[str, Any]:
    """Write a figure's files; return what the template takes of it."""
    (folder / f"{rendered.name}.png").write_bytes(rendered.png)
    (folder / f"{rendered.name}.svg").write_bytes(rendered.svg)
    (folder / f"{rendered.name}.csv").write_text(rendered.csv, encoding="utf-8")
    return {
        "title": rendered.figure.title,
        "caption": rendered.figure.caption,
        "is_folded": rendered.figure.is_folded,
        "name": rendered.name,
        "width": rendered.width,
        "height": rendered.height,
        "largest": round(_LARGEST * rendered.width),
        "is_wide": rendered.width > _WIDE,
        "is_scrolled": rendered.width > _SCROLLED,
        "image": _inline("image/svg+xml", rendered.svg),
        "csv": _inline("text/csv;charset=utf-8", rendered.csv.encode("utf-8")),
    }


def _inline(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(read_text(_TEMPLATE))
