"""A new architecture is one folder: trained, differentiated, resumed, translated and written.

In processes of their own, because the options of the task are made when it is imported.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fairseq")

import torch

from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests import forking

pytestmark = pytest.mark.slow

ADDED = Path(__file__).parent / "added"
ROOT = Path(__file__).parents[3]
PROGRAM = f"""
import sys
import fairseq_gist.architectures as architectures
architectures.__path__.append({str(ADDED)!r})
from fairseq_gist.tasks.registration import register
register()
command = sys.argv.pop(1)
if command == "gist":
    from fairseq_gist.cli.main import main
    sys.exit(main(sys.argv[1:]))
import importlib
importlib.import_module(f"fairseq_cli.{{command}}").cli_main()
"""
TRAIN = [
    "--task=gist_speech_to_text", "--arch=gist_toy", "--language-key=src",
    "--criterion=gist_label_smoothed_cross_entropy", "--ignore-prefix-size=2",
    "--config-yaml=config_st.yaml", "--train-subset=train", "--valid-subset=dev",
    "--max-tokens=400", "--optimizer=adam", "--lr=1e-2", "--seed=1", "--cpu", "--num-workers=0",
    "--no-epoch-checkpoints", "--differentiate-at=4", "--gradient-window=4",
    "--gradient-chunks=4", "--size-budget=1.4",
]  # fmt: skip


def run(command, *arguments, expect=0):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = forking.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == expect, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The folder that the toy brings along."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "letters.txt").write_text("en fr\nabcdefgh\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three spoken languages into English, without a vocabulary."""
    root = tmp_path_factory.mktemp("data")
    (root / "config_st.yaml").write_text(f"audio_root: {root}\n", encoding="utf-8")
    generator = np.random.default_rng(1)
    for name, count in (("train", 12), ("dev", 4)):
        lines = ["id\taudio\tn_frames\ttgt_text\tsrc_lang\ttgt_lang"]
        for number in range(count):
            for language in ("de", "es", "ru"):
                path = f"{name}_{number}_{language}.npy"
                frames = int(generator.integers(5, 12))
                np.save(root / path, generator.normal(size=(frames, 6)))
                text = "".join(generator.choice(list("abcdefgh"), 6))
                lines.append("\t".join((path, path, str(frames), text, language, "en")))
        (root / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def trained(toy, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    options = [data, f"--toy-path={toy}", *TRAIN, f"--save-dir={folder}"]
    run("train", *options, "--max-update=5")
    run("train", *options, "--max-update=6")  # resumed
    return folder / "checkpoint_last.pt"


def content(path):
    from fairseq_gist.host.checkpoints import read_checkpoint

    return read_checkpoint(str(path))


def test_it_differentiates_where_it_says(trained):
    plan = plan_in_state(content(trained)["model"])
    split = [name for name, groups in plan.units.items() if len(groups) > 1]
    assert split
    assert all(name.startswith("decoder.slab_layers.") for name in plan.units)
    assert list(plan.languages) == ["de", "es", "ru"]


def test_it_is_translated_with_from_its_whole_prefix(trained, toy, data):
    options = ["--task=gist_speech_to_text", f"--path={trained}", f"--toy-path={toy}", "--cpu"]
    options += ["--config-yaml=config_st.yaml", "--gen-subset=dev", "--prefix-size=2"]
    out = run("generate", data, *options, "--max-tokens=400", "--max-len-b=8", "--num-workers=0")
    hypotheses = [line for line in out.splitlines() if line.startswith("H-")]
    assert len(hypotheses) == 12
    assert not any("<" in line for line in hypotheses)
    options = [one.replace("--prefix-size=2", "--prefix-size=1") for one in options]
    out = run("generate", data, *options, expect=1)
    assert "--prefix-size: a target of this model begins with 2 symbols" in out


def test_targets_begin_as_it_says(toy, data, tmp_path):
    text = (data / "train.tsv").read_text(encoding="utf-8").replace("\tde\t", "\txx\t")
    (tmp_path / "train.tsv").write_text(text, encoding="utf-8")
    (tmp_path / "dev.tsv").write_text(text, encoding="utf-8")
    (tmp_path / "config_st.yaml").write_text(f"audio_root: {data}\n", encoding="utf-8")
    options = [tmp_path, f"--toy-path={toy}", *TRAIN, f"--save-dir={tmp_path}", "--max-update=1"]
    out = run("train", *options, expect=1)
    assert "dev.tsv, line 2: the toy doesn't hear 'xx'" in out


def test_the_commands_have_its_options(trained, toy, data, tmp_path):
    plan, statistics, exported = (tmp_path / name for name in ("plan.json", "s.npz", "de.pt"))
    command = ["plan", "feed-forward", "--arch=toy", f"--toy-path={toy}", "--languages=de,es"]
    assert "decoder.slab_layers.0.look.q_proj" in run("gist", *command, "-o", plan)
    divided = json.loads(plan.read_text(encoding="utf-8"))["units"]
    shared = {name for name, groups in divided.items() if len(groups) == 1}
    mixes = [f"decoder.slab_layers.{layer}.mix" for layer in (0, 1)]
    assert shared == {f"{mix}.{part}" for mix in mixes for part in ("wide", "narrow")}
    record = ["record", trained, data, "--subset=dev", "--cpu", "--neurons", "-o", statistics]
    run("gist", *record, "--gradient-chunks=4", r"--units=encoder\..*")
    run("gist", "plan", "gdps", "--statistics", statistics, "-o", plan)
    assert "encoder.slab_layers.0.mix.wide" in run("gist", "show", plan)
    run("gist", "export", trained, "--language=de", "-o", exported)
    written = torch.load(exported)
    assert written["path"] == str(toy)
    assert not any(".copies." in name for name in written["weights"])


def test_what_is_not_its_own_is_refused(trained, toy, data, tmp_path):
    command = ["export", trained, "--language=de", "-o", tmp_path / "x", f"--seamless-path={toy}"]
    assert "is no gist_seamless_m4t; leave it out" in run("gist", *command, expect=1)
    plan = ["plan", "random", "--arch=toy", "--languages=de,es", "-o", tmp_path / "plan.json"]
    assert "is built from a folder: name it with --toy-path" in run("gist", *plan, expect=1)
    out = run("train", data, *TRAIN, f"--save-dir={tmp_path}", "--max-update=1", expect=1)
    assert "for a model that brings its own give its folder with --seamless-path or --toy-p" in out
