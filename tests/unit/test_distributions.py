"""What a release consists of: a wheel, a source distribution, and what says which it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Dict, Iterator, List, Set

import pytest
import yaml

import fairseq_gist
from tests.scripts import script

VERSION = fairseq_gist.__version__
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""
OPEN = ("benchmarks", "constraints", "docs", "examples", "fairseq_gist", "tests")
FOLDERS = (".ci", ".github", *OPEN)
MADE = {"__pycache__", ".hypothesis", ".pytest_cache"}


def files_of_the_tree(root: Path) -> List[Path]:
    """Return the files of the project, of a checkout or of an unpacked source distribution."""
    if (root / ".git").exists():
        command = ["git", "ls-files", "-z"]
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
        tracked = [Path(name) for name in done.stdout.split("\0") if name]
        return [path for path in tracked if (root / path).exists()]
    beside = [path for path in root.iterdir() if path.name not in {"PKG-INFO", "setup.cfg"}]
    paths = [*beside, *(path for name in FOLDERS for path in (root / name).rglob("*"))]
    names = [path.relative_to(root) for path in paths if path.is_file()]
    return [name for name in names if not MADE.intersection(name.parts)]


@pytest.fixture(scope="module")
def tree(repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with a cache in it, as they lie about in one that is used."""
    tree = tmp_path_factory.mktemp("tree")
    for name in files_of_the_tree(repo_root):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repo_root / name, tree / name)
    for folder in ("fairseq_gist", "examples/evidence", "tests"):
        (tree / folder / "__pycache__").mkdir()
        (tree / folder / "__pycache__" / "left.cpython-311.pyc").write_bytes(b"")
    return tree


def built(kind: str, tree: Path, out: Path) -> Path:
    """Return what setuptools makes of a tree, with the tools that are there."""
    command = [sys.executable, "-W", "ignore", "-c", BUILD, f"build_{kind}", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def unpacked(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, as someone has it before any tool ran in it."""
    sdist = built("sdist", tree, tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.unpack_archive(str(sdist), str(folder))
    (inside,) = folder.iterdir()
    return inside


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from the source distribution."""
    return zipfile.ZipFile(built("wheel", unpacked, tmp_path_factory.mktemp("wheel")))


def names_in(wheel: zipfile.ZipFile) -> Set[str]:
    """Return the files of a wheel, without those that say what it is."""
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


@pytest.mark.slow
def test_the_source_distribution_has_all_that_building_and_testing_needs(
    repo_root: Path, unpacked: Path
) -> None:
    paths = [path for path in unpacked.rglob("*") if path.is_file()]
    inside = {path.relative_to(unpacked) for path in paths}
    made = {path for path in inside if path.parts[0].endswith(".egg-info")}
    made |= {Path("PKG-INFO"), Path("setup.cfg")}
    assert inside - made == set(files_of_the_tree(repo_root))


@pytest.mark.slow
def test_the_wheel_has_the_package_and_its_examples_and_nothing_else(
    repo_root: Path, wheel: zipfile.ZipFile
) -> None:
    tree = {path.as_posix() for path in files_of_the_tree(repo_root)}
    package = {name for name in tree if name.startswith("fairseq_gist/")}
    examples = {f"fairseq_gist/{name}" for name in tree if name.startswith("examples/")}
    assert names_in(wheel) == package | examples
    assert {"fairseq_gist/py.typed", "fairseq_gist/examples/training.toml"} <= package | examples


@pytest.mark.slow
def test_recipes_can_be_run_as_they_come(wheel: zipfile.ZipFile) -> None:
    modes = {info.filename: info.external_attr >> 16 for info in wheel.infolist()}
    recipes = [name for name in modes if re.search(r"/(\d\d_\w+|fetch)\.sh$", name)]
    assert len(recipes) > 5
    assert [name for name in recipes if not modes[name] & 0o100] == []


@pytest.mark.slow
def test_the_wheel_says_what_it_is(repo_root: Path, wheel: zipfile.ZipFile) -> None:
    said: Dict[str, str] = {}
    for name in wheel.namelist():
        if ".dist-info/" in name:
            said[name.rsplit("/", 1)[1]] = wheel.read(name).decode("utf-8")
    metadata = Parser().parsestr(said["METADATA"])
    assert (metadata["Name"], metadata["Version"]) == ("fairseq-gist", VERSION)
    assert said["LICENSE"] == (repo_root / "LICENSE").read_text(encoding="utf-8")
    assert "fairseq-gist = fairseq_gist.cli.main:main" in said["entry_points.txt"]
    assert "Root-Is-Purelib: true" in said["WHEEL"]


def test_all_that_names_the_version_names_the_same(repo_root: Path) -> None:
    citation = yaml.safe_load((repo_root / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (repo_root / "CHANGELOG.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", changes, re.MULTILINE)
    assert titles[0] == "[Unreleased]"
    assert titles[1] == f"[{VERSION}] - {citation['date-released']}"
    assert citation["version"] == VERSION


def test_the_citation_is_one(repo_root: Path) -> None:
    """What version 1.2.0 of the format requires, and of the rest only keys that it knows."""
    citation = yaml.safe_load((repo_root / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    known = {"type", "abstract", "version", "date-released", "license", "keywords"}
    assert citation.keys() <= {"cff-version", "message", "title", "authors", *known}
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "the fairseq-gist developers"}]
    assert citation["license"] == "MIT"


WORKFLOWS = ("check", "release")


@pytest.fixture(params=WORKFLOWS)
def workflow(request: pytest.FixtureRequest, repo_root: Path) -> Dict[str, object]:
    path = repo_root / ".github" / "workflows" / f"{request.param}.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def commands_of(workflow: Dict[str, object]) -> Iterator[str]:
    """Yield every command of a workflow's jobs, for each row of their matrix."""
    jobs = workflow["jobs"]
    assert isinstance(jobs, dict)
    for job in jobs.values():
        for row in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
            for step in job["steps"]:
                assert ("run" in step) != ("uses" in step)
                text = step.get("run", "")
                for name, value in row.items():
                    text = text.replace(f"${{{{ matrix.{name} }}}}", value)
                assert "${{" not in text
                yield from filter(None, [text])


def test_no_other_workflow_is_unchecked(repo_root: Path) -> None:
    found = {path.stem for path in (repo_root / ".github" / "workflows").iterdir()}
    assert found == set(WORKFLOWS)


def test_workflows_call_what_make_has(repo_root: Path, workflow: Dict[str, object]) -> None:
    called = [text for text in commands_of(workflow) if text.startswith("make ")]
    assert called
    for text in called:
        command = [*text.split(), "--dry-run", "PYTHON=python3"]
        done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}: {done.stderr}"


def test_every_supported_python_and_host_is_checked(repo_root: Path) -> None:
    path = repo_root / ".github" / "workflows" / "check.yml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    rows = jobs["tests"]["strategy"]["matrix"]["include"]
    checked = {(row["python"], row["host"]) for row in rows} | {("3.11", "ve-fairseq")}
    setup_py = (repo_root / "setup.py").read_text(encoding="utf-8")
    hosts = script("constraints/host.py").hosts
    pythons = re.findall(r"Python :: (3\.\d+)", setup_py)
    wanted = {
        (python, host)
        for python in pythons
        for host in hosts((3, int(python[2:])), "linux", "x86_64")
    }
    assert checked == wanted


def test_the_image_copies_what_is_there(repo_root: Path) -> None:
    text = (repo_root / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    named = re.findall(r"constraints/[\w./]+\w", text)
    assert "constraints/modern.txt" in named
    for name in (*copied, *named):
        assert (repo_root / name).exists(), name
