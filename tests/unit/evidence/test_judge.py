"""How scores are judged: on made-up losses of which the order is known."""

import json

import numpy as np
import pytest

from fairseq_gist.errors import GistError
from fairseq_gist.policies.ranked import read_worth
from tests.scripts import script
from tests.unit.made_up import LANGUAGES, grouped, statistics_of

judge = script("examples/evidence/judge.py")

UNITS = [f"decoder.layers.{n}.fc1" for n in range(6)]
APART = [[language] for language in LANGUAGES]


def put(out, system, seed, loss):
    folder = out / f"{system}-1000-{seed}"
    folder.mkdir(parents=True)
    spread = dict(zip(LANGUAGES, (-0.2, -0.1, 0.0, 0.1, 0.2)))
    last = {f"loss_{language}": loss + by for language, by in spread.items()}
    last["loss_average"] = round(loss, 1)  # too coarse to be gone by
    subsets = {name: {"last": last} for name in judge.SUBSETS}
    (folder / "losses.json").write_text(json.dumps({"subsets": subsets}), encoding="utf-8")


@pytest.fixture
def out(tmp_path):
    """Units whose split is worth the more, the larger their gradients are; some noise."""
    generator = np.random.default_rng(3)
    for seed in (1, 2, 3):
        put(tmp_path, "unsplit", seed, 3.0)
        for place, unit in enumerate(UNITS):
            worth = 0.01 * (place + 1) + 0.001 * generator.normal()
            put(tmp_path, unit.partition(".")[2], seed, 3.0 - worth)
    vectors = {
        unit: {language: (place + 1) * vector for language, vector in grouped(APART).items()}
        for place, unit in enumerate(UNITS)
    }
    statistics_of(vectors).save(tmp_path / "statistics-1000-plain.npz")
    return tmp_path


def test_a_score_that_knows_is_told_from_one_that_does_not(out):
    found = judge.judge(out)["moments"]["1000"]
    for subset in judge.SUBSETS:
        agreements = found["agreement"][subset]
        assert agreements["gain"]["worth"]["mean"] == pytest.approx(1)
        assert agreements["norm of the gradient"]["worth"]["mean"] == pytest.approx(1)
        assert abs(agreements["chance"]["worth"]["mean"]) < 0.9
        assert found["reliability"][subset]["mean"] == pytest.approx(1)
        worth = found["worth"][subset]["decoder.layers.5.fc1"]
        assert worth["mean"] == pytest.approx(0.06, abs=0.003)
        assert worth["seeds"] == 3


def test_what_is_there_so_far_is_judged(out):
    (out / "layers.0.fc1-1000-2" / "losses.json").unlink()
    (out / "unsplit-1000-3" / "losses.json").unlink()
    worth = judge.judge(out)["moments"]["1000"]["worth"]["dev"]
    assert worth["decoder.layers.0.fc1"]["seeds"] == 1
    assert worth["decoder.layers.1.fc1"]["seeds"] == 2


def test_the_page(out, capsys):
    assert judge.main([str(out), "-o", str(out / "judged")]) == 0
    page = (out / "judged.md").read_text(encoding="utf-8")
    assert "| gain | +1.00 (+1.00 to +1.00) |" in page
    assert json.loads((out / "judged.json").read_text(encoding="utf-8"))["moments"]["1000"]["worth"]


def test_what_one_moment_says_of_another(out):
    for seed in (1, 2):
        for system in ("unsplit", *UNITS):
            name = system.partition("decoder.")[2] or system
            (out / f"{name}-2000-{seed}").mkdir()
            old = json.loads(
                (out / f"{name}-1000-{seed}" / "losses.json").read_text(encoding="utf-8")
            )
            (out / f"{name}-2000-{seed}" / "losses.json").write_text(
                json.dumps(old), encoding="utf-8"
            )
    found = judge.judge(out)
    assert set(found["across"]) == {"1000 for 2000"}  # there are no statistics of the other
    assert found["across"]["1000 for 2000"]["gain"]["mean"] == pytest.approx(1)
    assert "| gain | +1.00" in judge.page_of(found)


def test_worths_are_what_the_policy_reads(out):
    assert judge.main([str(out), "-o", str(out / "judged")]) == 0
    worth = read_worth(str(out / "judged-worth-1000.json"))
    assert list(worth) == UNITS
    assert worth[UNITS[5]] > worth[UNITS[0]] > 0


def test_conflict_is_counted_chunk_by_chunk():
    vectors = {"unit": {"de": [1, 0], "es": [-1, 0], "fr": [0, 1]}}
    statistics = statistics_of(vectors, languages=("de", "es", "fr"))
    assert judge.conflict_of(statistics).tolist() == [pytest.approx(1 / 3)]


def test_nothing_to_judge(tmp_path):
    with pytest.raises(GistError, match="expected runs of measured"):
        judge.judge(tmp_path)
