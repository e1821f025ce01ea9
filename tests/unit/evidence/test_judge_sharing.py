"""How scores of pairs and plans are judged: on made-up losses of which the order is known."""

import json

import pytest

from fairseq_gist.sharing.plan import SharingPlan
from tests.scripts import script
from tests.unit.made_up import LANGUAGES, grouped, statistics_of

judge = script("examples/evidence/judge_sharing.py")

UNITS = ["decoder.layers.0.fc1", "decoder.layers.1.fc1"]
FAMILIES = [LANGUAGES[:2], LANGUAGES[2:]]
SHARED = [LANGUAGES]
CROSSED = [[LANGUAGES[0], *LANGUAGES[2:]], [LANGUAGES[1]]]


@pytest.fixture
def statistics():
    """Return gradients that agree within the families."""
    return {"plain": statistics_of({unit: grouped(FAMILIES) for unit in UNITS})}


def put(out, name, loss):
    (out / name).mkdir(parents=True)
    spread = dict(zip(LANGUAGES, (-0.2, -0.1, 0.0, 0.1, 0.2)))
    last = {f"loss_{language}": loss + by for language, by in spread.items()}
    subsets = {subset: {"last": last} for subset in judge.SUBSETS}
    (out / name / "losses.json").write_text(json.dumps({"subsets": subsets}), encoding="utf-8")


def test_pairs(tmp_path, statistics, capsys):
    scores = judge.scores_of_pairs(statistics)
    pairs = list(scores["inner product (plain)"])
    for seed in (1, 2):
        put(tmp_path, f"everything-{seed}", 2.0)
        for pair in pairs:
            gained = 0.01 * scores["mean cosine (plain)"][pair]
            put(tmp_path, f"{pair}-{seed}", 2.0 - gained)
    found = judge.judge_pairs(tmp_path, statistics)["tst-COMMON"]
    assert len(found["worth"]) == len(pairs) == 10
    assert found["agreement"]["mean cosine (plain)"]["mean"] == pytest.approx(1)
    assert found["agreement"]["mean cosine (plain)"]["seeds"] == 2
    assert abs(found["agreement"]["chance"]["mean"]) < 0.9
    within = f"{LANGUAGES[0]}+{LANGUAGES[1]}"
    across = f"{LANGUAGES[0]}+{LANGUAGES[2]}"
    for name, score in scores.items():
        assert name == "chance" or score[within] > score[across], name


def plan(groups):
    return SharingPlan(
        LANGUAGES,
        dict.fromkeys(UNITS, groups),
        sizes=dict.fromkeys(UNITS, 10),
        shared_parameters=50,
    )


def test_what_a_plan_keeps(statistics):
    own = statistics["plain"]
    assert judge.gain_kept(plan(SHARED), own) == pytest.approx(0, abs=1e-9)
    assert judge.gain_kept(plan([[one] for one in LANGUAGES]), own) == pytest.approx(1)
    kept = judge.gain_kept(plan(FAMILIES), own)
    assert judge.gain_kept(plan(CROSSED), own) < kept <= 1
    within = [judge.within(plan(groups), own) for groups in (SHARED, CROSSED, FAMILIES)]
    assert within[2] == max(within)


def test_plans(tmp_path, statistics):
    (tmp_path / "plans").mkdir()
    lines = [{"system": "random@1e-3", "seed": 1, "figures": {"trial": 3.0}, "seconds": 1.0}]
    for seed in (1, 2):
        for system, groups, loss in (
            ("families", FAMILIES, 1.8), ("crossed", CROSSED, 1.9), ("shared", SHARED, 2.0)
        ):  # fmt: skip
            plan(groups).save(tmp_path / "plans" / f"{system}-{seed}.json")
            figures = {"dev": loss, "test": loss + 0.1 * seed}
            lines.append({"system": system, "seed": seed, "figures": figures, "seconds": 1.0})
        figures = {"dev": 2.0, "test": 2.0 + 0.1 * seed}
        lines.append({"system": "joint", "seed": seed, "figures": figures, "seconds": 1.0})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "runs.jsonl").write_text(text, encoding="utf-8")
    found = judge.judge_plans(tmp_path, statistics)["tst-COMMON"]
    assert found["worth"]["families"] == {1: pytest.approx(0.2), 2: pytest.approx(0.2)}
    assert set(found["worth"]) == {"families", "crossed", "shared"}
    assert found["agreement"]["gain kept (plain)"]["mean"] == pytest.approx(1)
    assert found["reliability"]["mean"] == pytest.approx(1)


def test_scores_of_which_nothing_is_known_come_last():
    known = {"low": 0.0, "high": 1.0, "seeds": 2}
    means = {"constant": float("nan"), "good": 0.9, "bad": -0.9}
    agreement = {name: {"mean": mean, **known} for name, mean in means.items()}
    found = {"dev": {"worth": {}, "agreement": agreement, "reliability": agreement["good"]}}
    page = judge.page_of(found, "plans")
    assert page.index("| good |") < page.index("| bad |") < page.index("| constant |")


def test_nothing_to_judge(tmp_path, statistics, capsys):
    statistics["plain"].save(tmp_path / "statistics-plain.npz")
    words = ["--statistics", str(tmp_path / "statistics-plain.npz"), "-o", str(tmp_path / "judged")]
    assert judge.main(["pairs", str(tmp_path), *words]) == 1
    assert "expected runs that are done" in capsys.readouterr().err
