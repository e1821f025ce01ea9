"""What every test may count on."""

from collections import Counter
from pathlib import Path
from typing import List

import pytest


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


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout the tests run from."""
    return Path(__file__).resolve().parent.parent
