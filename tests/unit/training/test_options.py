"""Options of differentiation: what is refused, and that the documentation has them all."""

from dataclasses import fields

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.training.options import DifferentiationOptions, Moment, moments


def test_one_budget_serves_all_moments():
    options = DifferentiationOptions(differentiate_at="10,20", size_budget="1.5")
    assert moments(options) == [Moment(10, "1.5"), Moment(20, "1.5")]


def test_each_moment_can_have_its_own_budget():
    options = DifferentiationOptions(differentiate_at="10, 20", size_budget="1.5, 190.6M")
    assert moments(options) == [Moment(10, "1.5"), Moment(20, "190.6M")]


def test_no_moment_is_fine():
    assert moments(DifferentiationOptions()) == []


def test_all_problems_are_told_at_once():
    options = DifferentiationOptions(differentiate_at="0", size_budget="0.5", gradient_chunks=1)
    with pytest.raises(OptionError, match=r"chunks.*size-budget.*differentiate-at"):
        moments(options)


@pytest.mark.parametrize("sketch_dim", [-4096, 1, 63])
def test_a_useless_sketch_is_refused(sketch_dim):
    with pytest.raises(OptionError, match=f"--sketch-dim: at least 64 .* found {sketch_dim}$"):
        moments(DifferentiationOptions(sketch_dim=sketch_dim))
    assert moments(DifferentiationOptions(sketch_dim=64)) == []


def test_an_unknown_place_for_statistics_is_refused():
    with pytest.raises(OptionError, match="--statistics-device: expected one of cpu, model"):
        moments(DifferentiationOptions(statistics_device="gpu"))


def test_every_option_is_documented(repo_root):
    page = (repo_root / "docs" / "training.md").read_text(encoding="utf-8")
    for option in fields(DifferentiationOptions):
        assert f"| `--{option.name.replace('_', '-')}` |" in page
        assert option.metadata["help"]
