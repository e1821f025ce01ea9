"""The order of the pages: that of the lists in docs/index.md, so that it is written once.

Under each heading of the second level, the links that lead to pages become a table of contents of
that name. A link to a part of a page, or one that came before, adds nothing.
"""

import re
from typing import Dict, List

from sphinx.application import Sphinx

__all__ = ["contents", "setup"]

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\(((?:\.\./|[\w-])[\w./-]*)\.md\)")


def contents(index: str) -> Dict[str, List[str]]:
    """Give the pages, without their extension, that each part of the index links to."""
    _, *parts = _HEADING.split(index)
    seen: Dict[str, str] = {}
    for heading, text in zip(parts[::2], parts[1::2]):
        for page in _LINK.findall(text):
            seen.setdefault(page, heading)
    found: Dict[str, List[str]] = {}
    for page, heading in seen.items():
        found.setdefault(heading, []).append(page)
    return found


def _entry(page: str) -> str:
    """Name the README, whose heading is the project's, as that of the first page is."""
    return f"The README <{page}>" if page == "../README" else page


def _with_contents(app: Sphinx, docname: str, source: List[str]) -> None:
    if docname != app.config.root_doc:
        return
    trees = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {heading}", "", *entries, "```"])
        for heading, pages in contents(source[0]).items()
        for entries in [[_entry(page) for page in pages]]
    ]
    source[0] = "\n\n".join([source[0], *trees]) + "\n"


def setup(app: Sphinx) -> Dict[str, bool]:
    app.connect("source-read", _with_contents)
    return {"parallel_read_safe": True}
