"""The package as pip and fairseq see it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fairseq_gist

PIN = re.compile(r'^[A-Za-z0-9_.-]+==[0-9a-z.]+(; python_version >= "3\.10")?$')


def setup_py(repo_root: Path, *options: str) -> str:
    command = [sys.executable, "setup.py", "--quiet", *options]
    done = subprocess.run(command, cwd=repo_root, check=True, capture_output=True, text=True)
    return done.stdout.strip().splitlines()[-1]


def test_setup_reads_the_version_of_the_package(repo_root: Path) -> None:
    pytest.importorskip("setuptools")
    assert setup_py(repo_root, "--version") == fairseq_gist.__version__
    assert setup_py(repo_root, "--name") == "fairseq-gist"


def test_every_directory_of_the_package_is_a_package(repo_root: Path) -> None:
    modules = (repo_root / "fairseq_gist").rglob("*.py")
    assert {
        str(path.parent) for path in modules if not (path.parent / "__init__.py").exists()
    } == set()


def test_importing_the_package_is_instant() -> None:
    code = "import sys, fairseq_gist; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("stack", ["modern", "classic"])
def test_every_constraint_is_an_exact_version(repo_root: Path, stack: str) -> None:
    lines = (repo_root / "constraints" / f"{stack}.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#") and not PIN.match(line)] == []


def test_the_changelog_knows_the_version(repo_root: Path) -> None:
    text = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{fairseq_gist.__version__}]" in text
