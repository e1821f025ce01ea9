"""Several validation subsets: what follows from validation follows from their mean."""

import logging
import re
import subprocess
import sys
from collections import defaultdict

import fairseq_cli.train
import pytest
from fairseq import checkpoint_utils

from fairseq_gist.errors import SurgeryError
from tests.e2e.conftest import RECIPE, SMALL_MODEL
from tests.e2e.test_sampling import copy_manifests

LINE = re.compile(r"valid on (?:'(\w+)' subset|the (average) of \d subsets) \| (.*)")
PATIENCE, LONGEST = 2, 16
OPTIONS = [
    "--validate-interval-updates=1", "--save-interval-updates=1", "--keep-interval-updates=1",
    f"--patience={PATIENCE}", f"--max-update={LONGEST}", "--num-workers=0",
    "--ignore-unused-valid-subsets",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _forget_the_best():
    """Fairseq keeps the best value on its functions, for as long as the process lives."""
    functions = (fairseq_cli.train.should_stop_early, checkpoint_utils.save_checkpoint)
    for function in functions:
        vars(function).clear()
    yield
    for function in functions:
        vars(function).clear()


@pytest.fixture(scope="module")
def subsets(data, tmp_path_factory):
    """Data whose Russian subsets get worse the longer a model learns German alone."""
    folder = tmp_path_factory.mktemp("subsets") / "data"
    copy_manifests(data, folder, lambda *_: True)
    for name in ("dev_ru_2", "dev_ru_3"):
        (folder / f"{name}.tsv").write_bytes((folder / "dev_ru.tsv").read_bytes())
    return folder


@pytest.fixture
def fit(train, subsets, caplog):
    """Train on German, validate on some subsets, return the logged values of each."""

    def run(folder, valid, *extra, model=None):
        for function in (fairseq_cli.train.should_stop_early, checkpoint_utils.save_checkpoint):
            vars(function).clear()
        caplog.clear()
        changes = {
            "--train-subset": "train_de", "--valid-subset": valid, "--lr": "5e-3",
            "--lr-scheduler": "fixed",
        }  # fmt: skip
        with caplog.at_level(logging.INFO, "fairseq"):
            train(
                folder, str(subsets), *OPTIONS, *extra, replace_data=True, model=model,
                recipe_changes=changes, drop=["--warmup-updates"],
            )  # fmt: skip
        return logged(caplog.messages)

    return run


def logged(lines):
    """Return the stats of every validation, by subset."""
    found = defaultdict(list)
    for match in filter(None, map(LINE.search, lines)):
        pairs = [pair.rsplit(" ", 1) for pair in match.group(3).split(" | ")]
        found[match.group(1) or match.group(2)].append({k: float(v) for k, v in pairs})
    return found


def stops_after(losses):
    """Return after how many of these validations patience is at its end, None if it never is."""
    best = 0
    for number, loss in enumerate(losses):
        if loss < losses[best]:
            best = number
        if number - best >= PATIENCE:
            return number + 1
    return None


def of(stats, name="loss"):
    return [one[name] for one in stats]


def test_patience_and_the_best_checkpoint_follow_the_mean(fit, tmp_path):
    """German, the first subset, gets better in every update; the mean does not."""
    names = ["dev_de", "dev_ru", "dev_ru_2", "dev_ru_3"]
    found = fit(tmp_path / "all", ",".join(names))
    means = [sum(values) / 4 for values in zip(*(of(found[name]) for name in names))]
    assert of(found["average"]) == pytest.approx(means, abs=1e-4)
    assert stops_after(of(found["dev_de"])) is None
    assert len(means) == stops_after(means) < LONGEST

    best = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "all" / "checkpoint_best.pt"))
    assert best["extra_state"]["val_loss"] == pytest.approx(min(means))
    assert found["average"][-1]["best_loss"] == pytest.approx(min(means), abs=1e-4)
    assert best["optimizer_history"][-1]["num_updates"] == 1 + means.index(min(means))
    assert all("best_loss" not in one for name in names for one in found[name])

    alone = fit(tmp_path / "alone", "dev_de")
    assert len(alone["dev_de"]) == LONGEST
    assert "average" not in alone
    assert "best_loss" in alone["dev_de"][-1]


def test_a_first_subset_that_gets_worse_stops_nothing(fit, tmp_path):
    found = fit(tmp_path / "all", "dev_ru,dev_de")
    assert stops_after(of(found["dev_ru"])) < LONGEST
    assert len(found["average"]) == LONGEST
    assert stops_after(of(found["average"])) is None
    alone = fit(tmp_path / "alone", "dev_ru")
    assert len(alone["dev_ru"]) == stops_after(of(alone["dev_ru"])) < LONGEST


def test_the_learning_rate_follows_the_mean(fit, tmp_path):
    """The scheduler has heard of the validation that ended the first epoch."""
    plateau = ["--lr-scheduler=reduce_lr_on_plateau", "--max-update=6"]
    found = fit(tmp_path, "dev_ru,dev_de", *plateau)
    state = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "checkpoint_last.pt"))
    assert state["extra_state"]["train_iterator"]["epoch"] == 2
    heard = state["optimizer_history"][-1]["lr_scheduler_state"]["best"]
    assert heard in [pytest.approx(mean, abs=1e-4) for mean in of(found["average"])]
    assert heard not in [pytest.approx(loss, abs=1e-2) for loss in of(found["dev_ru"])]


def test_languages_of_one_mixed_subset_count_alike(fit, tmp_path):
    found = fit(
        tmp_path, "dev", "--best-checkpoint-metric=loss_average", "--max-update=3"
    )["dev"]  # fmt: skip
    for stats in found:
        languages = [
            stats[f"loss_{one}"] for one in ("de", "es", "fr", "it", "nl", "pt", "ro", "ru")
        ]
        assert stats["loss_average"] == pytest.approx(sum(languages) / 8, abs=6e-4)
    assert any(stats["loss_average"] != round(stats["loss_average"], 3) for stats in found)
    best = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "checkpoint_best.pt"))
    assert best["extra_state"]["val_loss"] == min(of(found, "loss_average"))


def test_a_stock_task_in_the_same_process_listens_to_the_first(fit, tmp_path):
    fit(tmp_path / "gist", "dev_ru,dev_de", "--max-update=1")
    assert hasattr(fairseq_cli.train.validate, "__wrapped__")
    found = fit(
        tmp_path / "stock", "dev_ru,dev_de", "--task=speech_to_text", "--max-update=2",
        "--criterion=label_smoothed_cross_entropy",
        model=[option.replace("gist_", "") for option in SMALL_MODEL],
    )  # fmt: skip
    assert "average" not in found
    assert "best_loss" in found["dev_ru"][-1]
    last = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "stock" / "checkpoint_last.pt"))
    assert last["extra_state"]["val_loss"] == found["dev_ru"][-1]["loss"]


def test_a_training_loop_of_another_version_is_told(fit, tmp_path, monkeypatch):
    monkeypatch.delattr(fairseq_cli.train, "get_valid_stats")
    with pytest.raises(SurgeryError, match="fairseq_cli.train has no 'get_valid_stats'; fairseq-g"):
        fit(tmp_path, "dev_ru,dev_de", "--max-update=1")


@pytest.mark.slow
def test_the_mean_counts_where_the_training_loop_is_the_main_module(subsets, tmp_path, repo_root):
    recipe = [option for option in RECIPE if not option.startswith(("--valid", "--max-tokens"))]
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "fairseq_cli.train", str(subsets),
            "--user-dir", str(repo_root / "fairseq_gist"), "--task=gist_speech_to_text",
            "--criterion=gist_label_smoothed_cross_entropy", *SMALL_MODEL, *recipe,
            "--max-tokens=4000", "--valid-subset=dev_de,dev_ru", "--max-update=1",
            "--ignore-unused-valid-subsets", f"--save-dir={tmp_path}",
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    [average] = logged(done.stdout.splitlines())["average"]
    state = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "checkpoint_last.pt"))
    assert state["extra_state"]["val_loss"] == pytest.approx(average["loss"], abs=1e-4)
