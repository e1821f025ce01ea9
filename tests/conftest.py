"""What every test may count on."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, List

import pytest

ABSENT = {"modern": (), "classic": ("transformers", "ctranslate2", "lhotse")}
"""Packages that a stack can't have: what needs them is left out there."""


def pytest_configure() -> None:
    """Give each test process one torch thread: the processes share the cores already."""
    try:
        import torch
    except ImportError:  # the tests of packaging and scoring run without it
        return
    torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Leave out the tests that need a GPU, unless the expression of ``-m`` speaks of them.

    Files with most of the slow tests come first: where processes take files in turn, none is left
    with a long one in the end.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
    if "gpu" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("gpu")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where an environment that ``make`` built lacks what tests need: they were left out."""
    if _missing(session.config) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what is lacking."""
    for package in _missing(config):
        terminalreporter.write_line(f"{sys.prefix} lacks {package}: its tests were left out")


def _missing(config: pytest.Config) -> List[str]:
    """Return the packages for whose lack tests were left out in an environment of ``make``'s."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    stack = Path(sys.prefix) / "stack"
    if not stack.is_file() or reporter is None:
        return []
    skipped = " ".join(str(report.longrepr) for report in reporter.stats.get("skipped", []))
    packages = re.findall(r"could not import '([\w.]+)'", skipped)
    absent = ABSENT[stack.read_text(encoding="utf-8").strip()]
    return [package for package in dict.fromkeys(packages) if package not in absent]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout the tests run from."""
    return Path(__file__).resolve().parent.parent
