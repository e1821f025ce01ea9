import pytest

from tests.unit.experiments.toy import Toy


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)
