"""Every text file is read by ``fairseq_gist.files``: marks, encodings and errors are the same."""

import ast
from pathlib import Path

import pytest

import fairseq_gist

ROOT = Path(fairseq_gist.__file__).parent

OTHERWISE = {
    "report/training_log.py": "a log may hold bytes of anything, which are replaced",
}
"""Files that read text themselves, and why."""


def read_otherwise(source):
    """The lines of Python code that open a text file for reading."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        if name == "read_text" and isinstance(node.func, ast.Attribute):
            yield node.lineno
        if name == "open":
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            texts = [one.value for one in values if isinstance(one, ast.Constant)]
            modes = {one for one in texts if isinstance(one, str) and set(one) <= set("rwaxbt+")}
            is_file = isinstance(node.func, ast.Name) or modes
            if is_file and not any(set(mode) & set("bwax") for mode in modes):
                yield node.lineno


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("open(path)", True),
        ("open(path, encoding='utf-8')", True),
        ("path.open('r')", True),
        ("open(path, 'rb')", False),
        ("path.open(mode='w', encoding='utf-8')", False),
        ("read_text(path)", False),
        ("draft.open(tensors)", False),
    ],
)
def test_what_counts(source, found):
    assert bool(list(read_otherwise(source))) == found


def test_text_is_read_in_one_place():
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if list(read_otherwise(path.read_text(encoding="utf-8")))
    }
    assert found == set(OTHERWISE)
