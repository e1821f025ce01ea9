"""Differences between systems, against what SciPy says of the same numbers."""

import json

import numpy as np
import pytest
from scipy import stats

from fairseq_gist.errors import DataError
from tests.scripts import script

compare = script("examples/evidence/compare.py")


RATES = {"1e-3": 2.1, "2e-3": 2.0, "4e-3": 2.2}


def line(system, seed, **figures):
    return json.dumps({"system": system, "seed": seed, "figures": figures, "seconds": 2.0}) + "\n"


@pytest.fixture
def runs(tmp_path):
    generator = np.random.default_rng(1)
    lines = [line(f"random@{rate}", 1, trial=loss) for rate, loss in RATES.items()]
    for seed in range(1, 6):
        order = generator.normal()  # of the data: the same for all systems of a seed
        for system, mean in (("random", 2.0), ("gradient", 1.98), ("same", 2.0)):
            lines.append(line(system, seed, test=mean + order + 0.002 * generator.normal()))
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_differences_are_taken_seed_by_seed(runs):
    own_runs = compare.runs_in(runs, "test")
    losses = own_runs.losses
    assert set(losses) == {"random", "gradient", "same"}
    found = compare.compared(own_runs, ["random"])
    own = compare.Difference(**found["gradient"]["differences"]["random"])
    expected = stats.ttest_rel(*(list(losses[name].values()) for name in ("gradient", "random")))
    interval = expected.confidence_interval()
    assert own.p == pytest.approx(expected.pvalue)
    assert (own.low, own.high) == pytest.approx((interval.low, interval.high))
    assert own.mean == pytest.approx(-0.02, abs=0.005)
    assert own.p < 0.01
    assert found["same"]["differences"]["random"]["p"] > 0.05


def test_a_difference_that_is_detectable_is_below_the_level():
    noise = np.random.default_rng(2).normal(size=5)
    zeros = dict.fromkeys(range(5), 0.0)
    own = compare.difference(dict(enumerate(noise)), zeros)
    shifted = dict(enumerate(noise - own.mean + own.detectable))
    again = compare.difference(shifted, zeros)
    assert again.mean == pytest.approx(own.detectable)
    assert again.p < 0.01
    assert again.detectable == pytest.approx(own.detectable)


def test_one_seed_says_nothing():
    assert compare.difference({1: 2.0}, {1: 1.0, 2: 1.0}) is None


def test_the_page(runs, capsys):
    prefix = runs.with_name("compared")
    assert compare.main([str(runs), "--against", "random", "-o", str(prefix)]) == 0
    rows = prefix.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    assert rows[2].startswith("| gradient |  | 5 | 2 |")
    assert "detectable" in rows[2]
    assert any(row.startswith("| random | 2e-3 | 5 |") for row in rows)


def test_scores_are_best_when_they_are_high(tmp_path):
    path = tmp_path / "runs.jsonl"
    lines = [line(name, seed, chrf=score + seed) for name, score in (("one", 30), ("two", 40))
             for seed in (1, 2)]  # fmt: skip
    path.write_text("".join(lines), encoding="utf-8")
    command = [str(path), "--figure", "chrf", "--against", "one", "-o", str(tmp_path / "page")]
    assert compare.main([*command, "--highest"]) == 0
    rows = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "| system | chosen | seeds | seconds | chrf | less one |"
    assert rows[2].startswith("| two |  | 2 | 2 | 41.50 ± 0.71 | +10.00 (+10.00 to +10.00), ")
    assert compare.main(command) == 0
    rows = (tmp_path / "page.md").read_text(encoding="utf-8").splitlines()
    assert "loss (chrf)" in rows[0]
    assert rows[2].startswith("| one |")


def test_a_file_that_is_something_else(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text(line("random", 1, dev=2.0), encoding="utf-8")
    with pytest.raises(DataError, match="line 1: expected a run with 'test'"):
        compare.losses_in(path, "test")
