"""A plan found by trying, with real trainings."""

import json
import shlex
import sys

import pytest

from fairseq_gist.cli.main import main as gist
from fairseq_gist.sharing.plan import SharingPlan
from tests.e2e.conftest import RECIPE, SMALL_MODEL
from tests.scripts import script

greedy = script("examples/evidence/greedy.py")
UNITS = r"decoder\.layers\.[01]\.fc1"
BUDGET = 1.3  # of which one split takes more than half


@pytest.mark.slow
def test_a_split_is_kept_where_it_is_worth_it(train, data, tmp_path, capsys, repo_root):
    start = train(tmp_path / "start", "--max-update=4").checkpoint
    statistics = tmp_path / "statistics.npz"
    measured = ["record", str(start), str(data), "--cpu", "--units", UNITS]
    assert gist([*measured, "-o", str(statistics)]) == 0
    command = [
        *(
            sys.executable,
            "-m",
            "fairseq_cli.train",
            str(data),
            f"--user-dir={repo_root / 'fairseq_gist'}",
        ),
        *("--task=gist_speech_to_text", "--criterion=gist_label_smoothed_cross_entropy"),
        *(*SMALL_MODEL, *RECIPE, f"--finetune-from-model={start}", "--max-update=3", "--no-save"),
    ]
    out = tmp_path / "greedy" / "plan.json"
    words = ["--statistics", str(statistics), "--size-budget", str(BUDGET), "-o", str(out)]
    assert greedy.main([*words, "--", *command]) == 0, capsys.readouterr().err
    plan = SharingPlan.load(out)
    trials = [
        json.loads(line)
        for line in (out.parent / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    split = sorted(unit for unit, groups in plan.units.items() if len(groups) > 1)
    assert plan.parameters <= BUDGET * plan.shared_parameters
    assert trials[0]["split"] == []
    assert len(trials) > 1
    lowest = min(trials, key=lambda trial: trial["loss"])
    assert split == lowest["split"]
    assert not (out.parent / "trial").exists()

    # once more: nothing is trained, and the same comes out
    before = out.read_bytes()
    assert greedy.main([*words, "--", *command]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["units"] == json.loads(before)["units"]
    assert len((out.parent / "trials.jsonl").read_text(encoding="utf-8").splitlines()) == len(
        trials
    )


def test_what_is_refused(tmp_path, capsys):
    words = ["--statistics", str(tmp_path / "none.npz"), "--size-budget", "2"]
    with pytest.raises(SystemExit):
        greedy.main([*words, "-o", str(tmp_path / "plan.json")])
    assert "expected -- and the command" in capsys.readouterr().err
    command = shlex.split("fairseq-train data")
    assert greedy.main([*words, "-o", str(tmp_path / "plan.json"), "--", *command]) == 1
    assert "none.npz" in capsys.readouterr().err
