"""Words of code that are longer than a line on a phone, marked for the style sheet.

Sphinx puts each word into an element of its own. Those that are short enough are never broken, so
that an option stays whole; the others have to be somewhere.
"""

import re
from typing import Any, Dict

from sphinx.application import Sphinx

__all__ = ["setup"]

_LONG = re.compile(r'<span class="pre">(?=[^<]{33})')


def _mark(app: Sphinx, page: str, template: str, context: Dict[str, Any], doctree: Any) -> None:
    if "body" in context:
        context["body"] = _LONG.sub('<span class="pre long">', context["body"])


def setup(app: Sphinx) -> Dict[str, bool]:
    app.connect("html-page-context", _mark)
    return {"parallel_read_safe": True}
