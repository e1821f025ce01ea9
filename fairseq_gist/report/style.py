"""How figures look: colours that colour-blind readers can tell apart, fonts that have the letters.

The palette is that of Okabe and Ito (2008), "Color Universal Design".
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any, Dict, Iterable, Iterator, List, Set

from fairseq_gist.errors import OptionError

__all__ = [
    "DASHES",
    "DIVERGING",
    "NEUTRAL",
    "PALETTE",
    "SEQUENTIAL",
    "TOGETHER",
    "check_installed",
    "drawing",
    "letters_without_font",
    "new_figure",
    "readable_on",
]

PALETTE = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
"""Forty lines can be told apart: eight colours times five dashes."""

NEUTRAL = "#E8E8E8"
DIVERGING = "RdBu"
SEQUENTIAL = "cividis"
TOGETHER = "Greens"

_BASE_FONT = "DejaVu Sans"  # matplotlib brings it
_DPI = 144


def check_installed() -> None:
    """Raise OptionError unless the packages of the extra ``report`` are there."""
    try:
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise OptionError(
            f"a report needs matplotlib and Jinja2, and '{error.name}' is not installed: "
            "pip install 'fairseq-gist[report]'"
        ) from None


@contextlib.contextmanager
def drawing(texts: Iterable[str]) -> Iterator[None]:
    """Draw and save in the report's style, with fonts for the letters of ``texts``.

    Text in SVG stays text, which a browser sets with its own fonts, in its proper direction.
    """
    import matplotlib

    settings: Dict[str, Any] = {
        "font.family": [_BASE_FONT, *_fonts_for(texts)],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.dpi": _DPI,
        "savefig.dpi": _DPI,
        "svg.fonttype": "none",
        "svg.hashsalt": "fairseq-gist",  # the same report gives the same files
        "text.parse_math": False,  # a dollar sign is a dollar sign
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # told to the reader once, by letters_without_font
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        # scripts that Matplotlib before 3.11 can't shape: the browser does, in SVG
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure of this size in inches; nothing of pyplot's global state is used."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def readable_on(rgba: Any) -> str:
    """Return black or white, whichever is easier to read on a colour.

    >>> readable_on((1.0, 1.0, 0.9, 1.0)), readable_on((0.1, 0.1, 0.4, 1.0))
    ('black', 'white')
    """
    red, green, blue = rgba[:3]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def letters_without_font(texts: Iterable[str]) -> str:
    """Return the letters that no font on this machine has: PNG files show boxes for them."""
    return "".join(sorted(_uncovered(texts, [_BASE_FONT, *_fonts_for(texts)])))


def _fonts_for(texts: Iterable[str]) -> List[str]:
    """Return fonts of this machine that have the letters matplotlib's own font lacks."""
    missing = _uncovered(texts, [_BASE_FONT])
    fonts: List[str] = []
    for name in sorted(_installed()) if missing else ():
        found = missing & _letters_of(name)
        if found:
            fonts.append(name)
            missing -= found
        if not missing:
            break
    return fonts


def _uncovered(texts: Iterable[str], fonts: Iterable[str]) -> Set[str]:
    letters = {letter for text in texts for letter in text if not letter.isspace()}
    for name in fonts:
        letters -= _letters_of(name)
    return letters


@functools.lru_cache(maxsize=None)
def _installed() -> Dict[str, str]:
    from matplotlib.font_manager import fontManager

    return {
        entry.name: entry.fname
        for entry in fontManager.ttflist
        if entry.style == "normal" and "Last Resort" not in entry.name
    }


@functools.lru_cache(maxsize=None)
def _letters_of(name: str) -> Set[str]:
    from matplotlib.ft2font import FT2Font

    path = _installed().get(name)
    return {chr(code) for code in FT2Font(path).get_charmap()} if path else set()
