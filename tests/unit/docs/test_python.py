"""The Python that pages and docstrings show."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from pathlib import Path
from typing import List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
PROMPT = ">>> "
MADE_BY_READERS = "fairseq_gist.corpora.tones"  # of docs/extending.md

_FENCED = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    (?:from|import) .*\n)(?:^    .*\n)*", re.MULTILINE)


def blocks() -> List[Tuple[str, str]]:
    """Return every block of Python with its page."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        indented = [
            re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in _INDENTED.findall(outside)
        ]
        name = path.relative_to(ROOT).as_posix()
        found += [(name, block) for block in [*_FENCED.findall(text), *indented]]
    return found


def test_names_that_pages_import_are_there() -> None:
    imported = []
    for page, block in blocks():
        for node in ast.walk(ast.parse(block, page)):
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            if node.module.startswith("fairseq_gist") and not node.module.startswith(
                MADE_BY_READERS
            ):
                module = importlib.import_module(node.module)
                imported += [f"{page}: {node.module}.{one.name}" for one in node.names]
                assert [one.name for one in node.names if not hasattr(module, one.name)] == [], page
    assert len(imported) > 5


def with_examples() -> List[str]:
    """Return the modules whose docstrings have some."""
    paths = sorted((ROOT / "fairseq_gist").rglob("*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in paths
        if PROMPT in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", with_examples())
def test_examples_in_docstrings_come_out_as_they_say(name: str) -> None:
    module = importlib.import_module(re.sub(r"\.__init__$", "", name))
    assert doctest.testmod(module).failed == 0
