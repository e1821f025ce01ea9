"""The page of what can be built on names what there is."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import List

import pytest

from fairseq_gist import errors
from fairseq_gist.architectures import all_architectures
from fairseq_gist.cli.main import COMMANDS
from fairseq_gist.policies import find_policies


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs" / "stability.md").read_text(encoding="utf-8")


def rows(page: str, part: str, level: str) -> List[str]:
    """Return the first cells of a part's table whose second begins with a level."""
    (section,) = re.findall(rf"^## {part}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^\| (.*) \| {level}.*\|$", section, re.MULTILINE)


def named(rows: List[str], words: str) -> List[str]:
    """Return what stands in code in the one row that has these words."""
    (row,) = [row for row in rows if words in row]
    return re.findall(r"`([^`]+)`", row)


def test_commands_are_those_that_there_are(page: str) -> None:
    provisional = named(rows(page, "The command line", "provisional"), "`experiment`")
    *commands, option = provisional
    assert set(commands) < set(COMMANDS)
    command, flag = option.split()
    assert flag in Path(
        str(importlib.import_module(f"fairseq_gist.cli.{command}").__file__)
    ).read_text(encoding="utf-8")


def test_policies_and_architectures_are_those_that_there_are(page: str) -> None:
    stable = named(rows(page, "Training", "stable"), "by name")
    assert stable
    assert set(stable) <= set(find_policies())
    models = [
        name for row in rows(page, "Training", ".*") for name in re.findall(r"`(gist_\w+)", row)
    ]
    known = {architecture.model_name for architecture in all_architectures().values()}
    assert known <= set(models)


def test_names_can_be_imported(page: str) -> None:
    package = importlib.import_module("fairseq_gist")
    for name in named(rows(page, "Python", "stable"), "`fairseq_gist.load`"):
        assert hasattr(package, name.split(".")[1])
    module, *names = named(rows(page, "Python", "provisional"), "fairseq_gist.policies.base")
    base = importlib.import_module(module)
    bases = [name for name in names if name not in ("Situation", "SharingPlan")]
    assert all(hasattr(base, name) for name in bases)
    assert "GistError" in errors.__all__


def test_every_group_of_entry_points_has_a_level(page: str, repo_root: Path) -> None:
    text = (repo_root / "docs" / "extending.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| group \|.*?\n\n", text, re.MULTILINE | re.DOTALL)
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    groups = {
        name.split(".")[-1] for cell in first_cells for name in re.findall(r"`([\w.]+)`", cell)
    }
    levels = [
        {name.split(".")[-1] for name in named(rows(page, "Python", level), "entry points")}
        for level in ("stable", "provisional")
    ]
    assert levels[0] | levels[1] == groups
    assert not levels[0] & levels[1]
