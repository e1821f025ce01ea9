"""The report's files: one page that holds everything, and the figures beside it."""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from tqdm import tqdm

from fairseq_gist import __version__
from fairseq_gist.errors import OptionError
from fairseq_gist.files import read_text, replacing_folder, unused_name
from fairseq_gist.files.outputs import check_folder
from fairseq_gist.report.chapters import Chapter
from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.style import drawing, letters_without_font
from fairseq_gist.report.words import GLOSSARY

__all__ = ["PAGE", "check_target", "grouped", "write_report"]

PAGE = "index.html"
_FIGURES = "figures"
_ENDINGS = (".png", ".svg", ".csv")
_MARK = 'name="generator" content="fairseq-gist'
_TEMPLATE = Path(__file__).with_name("page.html")
_WIDE = 500
"""Pixels of the page; on a phone a wider figure is scrolled rather than shrunk."""


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
    folder: Path, title: str, lead: str, chapters: Sequence[Chapter], notes: Sequence[str]
) -> None:
    """Draw everything and write page and figures, all or nothing.

    Args:
        folder: replaced if it holds an earlier report.
        title: of the page.
        lead: a sentence below it.
        chapters: of the page.
        notes: at its end.

    Raises:
        OptionError: when the folder holds something else.
    """
    check_target(folder)
    texts = [title, *(text for chapter in chapters for f in chapter.figures for text in _texts(f))]
    boxes = letters_without_font(texts)
    if boxes:
        notes = [
            *notes,
            f"No font on this machine has {' '.join(boxes)}: the PNG files show boxes in their "
            "place. This page and the SVG files use the fonts of whoever reads them.",
        ]
    with replacing_folder(folder) as target:
        figures = target / _FIGURES
        figures.mkdir()
        names = _unique_names(chapters)
        pages = []
        total = sum(len(chapter.figures) for chapter in chapters)
        with drawing(texts), tqdm(total=total, desc="drawing", unit="figure", disable=None) as bar:
            for chapter in chapters:
                shown = []
                for figure in chapter.figures:
                    rendered = _render(figure, names[id(figure)])
                    (figures / f"{rendered.name}.png").write_bytes(rendered.png)
                    (figures / f"{rendered.name}.svg").write_bytes(rendered.svg)
                    (figures / f"{rendered.name}.csv").write_text(rendered.csv, encoding="utf-8")
                    shown.append(_for_page(rendered))
                    bar.update()
                pages.append(
                    {**chapter._asdict(), "figures": shown, "missing": grouped(chapter.missing)}
                )
        html = _template().render(
            title=title,
            lead=lead,
            chapters=pages,
            notes=notes,
            words=GLOSSARY,
            generator=f"fairseq-gist {__version__}",
        )
        (target / PAGE).write_text(html, encoding="utf-8")


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


def _unique_names(chapters: Sequence[Chapter]) -> Dict[int, str]:
    """Return a file name for each figure, numbered where several have one name."""
    figures = [figure for chapter in chapters for figure in chapter.figures]
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


def _for_page(rendered: Rendered) -> Dict[str, Any]:
    return {
        "title": rendered.figure.title,
        "caption": rendered.figure.caption,
        "is_folded": rendered.figure.is_folded,
        "name": rendered.name,
        "width": rendered.width,
        "height": rendered.height,
        "is_wide": rendered.width > _WIDE,
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
