"""Every text file is read by ``fairseq_gist.files``: marks, encodings and errors are the same.

And none, of tests and examples neither, is in whatever encoding a machine has.
"""

import ast
import re
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


def in_any_encoding(source):
    """The lines of Python code that read or write text without saying the encoding."""
    if not re.search(r"\b(open|read_text|write_text)\(", source):
        return
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or any(one.arg == "encoding" for one in node.keywords):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        is_method = isinstance(node.func, ast.Attribute)
        texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
        modes = {one for one in texts if isinstance(one, str) and set(one) <= set("rwaxbt+")}
        is_text = not any("b" in mode for mode in modes) and bool(modes or not is_method)
        if (
            (name == "read_text" and is_method and not node.args)
            or (name == "write_text" and is_method and len(node.args) < 2)
            or (name == "open" and is_text and not _is_of_another_kind(node.func))
        ):
            yield node.lineno


def _is_of_another_kind(opener):
    owner = getattr(getattr(opener, "value", None), "id", "")
    return owner in {"gzip", "tarfile", "wave", "zipfile"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("path.write_text('a')", True),
        ("path.write_text('a', encoding='utf-8')", False),
        ("path.write_text('a', 'utf-8')", False),
        ("open(path)", True),
        ("open(path, 'w')", True),
        ("path.open('a')", True),
        ("open(path, 'rb')", False),
        ("open(path, 'w', encoding='utf-8')", False),
        ("tarfile.open(path, 'w')", False),
        ("read_text(path)", False),
        ("draft.open(tensors)", False),
    ],
)
def test_what_has_no_encoding(source, found):
    assert bool(list(in_any_encoding(source))) == found


def test_text_has_an_encoding_everywhere(repo_root):
    found = [
        f"{path.relative_to(repo_root)}:{line}"
        for folder in ("benchmarks", "docs", "examples", "fairseq_gist", "tests")
        for path in sorted((repo_root / folder).rglob("*.py"))
        for line in in_any_encoding(path.read_text(encoding="utf-8"))
    ]
    assert found == []
