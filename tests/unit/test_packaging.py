"""The package as pip and fairseq see it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fairseq_gist
from tests.scripts import script

PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
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


@pytest.fixture(scope="module")
def host_script() -> ModuleType:
    """constraints/host.py, which is no part of the package."""
    return script("constraints/host.py")


def pinned_hosts(repo_root: Path) -> dict[str, str]:
    """Return the version of every host, from the one line without a hash of its file."""
    pins = {}
    for path in (repo_root / "constraints" / "hosts").glob("*.txt"):
        lines = path.read_text(encoding="utf-8").splitlines()
        first, *hashes = [line for line in lines if not line.startswith("#")]
        name, version = first[: -len(" \\")].split("==")
        assert name == path.stem
        assert hashes
        assert all(re.match(r"    --hash=sha256:[0-9a-f]{64}( \\)?$", line) for line in hashes)
        pins[name] = version
    return pins


@pytest.fixture
def packaging(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What setup.py hands to setuptools."""
    setuptools = pytest.importorskip("setuptools")
    said: dict[str, Any] = {}
    monkeypatch.setattr(setuptools, "setup", said.update)
    runpy.run_path(str(repo_root / "setup.py"))
    return said


def asked(extra: list[str], python: str, system: str, machine: str) -> list[str]:
    """Return what an extra asks for there."""
    requirements = pytest.importorskip("packaging.requirements")
    where = {"python_version": python, "sys_platform": system, "platform_machine": machine}
    lines = [requirements.Requirement(line) for line in extra]
    return [f"{one.name}{one.specifier}" for one in lines if one.marker.evaluate(where)]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64")],
)
def test_the_extra_and_make_take_the_same_host(
    repo_root: Path,
    host_script: ModuleType,
    packaging: dict[str, Any],
    python: str,
    system: str,
    machine: str,
) -> None:
    major, minor = python.split(".")
    known = host_script.hosts((int(major), int(minor)), system, machine)
    pins = [f"{name}=={pinned_hosts(repo_root)[name]}" for name in known]
    extras = packaging["extras_require"]
    assert asked(extras["fairseq"], python, system, machine) == pins[:1]
    fixed = [pin for pin in pins if pin.startswith("fairseq-fixed")]
    assert asked(extras["fairseq-fixed"], python, system, machine) == fixed


def test_no_host_is_required_without_an_extra(packaging: dict[str, Any]) -> None:
    assert [one for one in packaging["install_requires"] if "fairseq" in one] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_pages_are_built_on_the_modern_stack_alone(packaging: dict[str, Any], python: str) -> None:
    wanted = ["Sphinx>=9", "furo", "myst-parser>=5"] if int(python.split(".")[1]) >= 11 else []
    assert asked(packaging["extras_require"]["docs"], python, "linux", "x86_64") == wanted


def test_a_host_that_does_not_fit_is_refused(host_script: ModuleType) -> None:
    with pytest.raises(SystemExit, match="HOST=fairseq-broken isn't a host for Python 3"):
        host_script.choose("fairseq-broken")


def test_what_a_host_needs_is_without_torchaudio(host_script: ModuleType) -> None:
    installed = [name for name in ("ve-fairseq", "fairseq-fixed", "fairseq") if found(name)]
    for name in installed:
        needed = host_script.needs(name)
        assert [line for line in needed if line.startswith("hydra-core")] != []
        assert [line for line in needed if "torchaudio" in line or "flake8" in line] == []


def found(distribution: str) -> bool:
    try:
        requires(distribution)
    except ImportError:
        return False
    return True


def test_every_supported_stack_is_in_the_table(repo_root: Path, host_script: ModuleType) -> None:
    """Rows of docs/stacks.md start with stack, Python, host, torch; versions are what is pinned."""
    text = (repo_root / "docs" / "stacks.md").read_text(encoding="utf-8")
    row = r"^\| (modern|classic) \| (\S+) \| (\S+) (\S+) \| (\S+) \|"
    rows = re.findall(row, text, re.MULTILINE)
    pins = pinned_hosts(repo_root)
    for stack, python, host, version, torch in rows:
        major, minor = python.split(".")[:2]
        assert stack == ("modern" if (int(major), int(minor)) >= (3, 11) else "classic")
        assert host in host_script.hosts((int(major), int(minor)), "linux", "x86_64")
        assert version == pins[host]
        constraints = (repo_root / "constraints" / f"{stack}.txt").read_text(encoding="utf-8")
        assert f"\ntorch=={torch}\n" in constraints
    setup_text = (repo_root / "setup.py").read_text(encoding="utf-8")
    supported = re.findall(r"Python :: (3\.\d+)", setup_text)
    assert sorted({".".join(row[1].split(".")[:2]) for row in rows}) == sorted(supported)
    assert {row[2] for row in rows} == set(pins)
