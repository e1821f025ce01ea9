"""What every test may count on."""

from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Give each test process one torch thread: the processes share the cores already."""
    try:
        import torch
    except ImportError:  # the tests of packaging and scoring run without it
        return
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout the tests run from."""
    return Path(__file__).resolve().parent.parent
