"""The recipe for MuST-C, on a tiny corpus in its layout and with its names."""

import json
import os
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils, options
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.models.speech_to_text.s2t_transformer import S2TTransformerModel
from fairseq_cli import train as fairseq_train
from omegaconf import OmegaConf

from fairseq_gist.architectures.fairseq_transformer.model import GistS2TTransformer
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.loading.checkpoint_models import model_from
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.units import count_parameters
from tests.e2e.conftest import RECIPE, SMALL_MODEL

REPO = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((REPO / "examples" / "mustc").glob("[0-9]*.sh"))
NAMES = [script.name for script in SCRIPTS]
LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]


class Recipe:
    """The recipe with settings for seconds on a CPU."""

    def __init__(self, corpus, out, **settings):
        self.out = out
        size = " ".join(option.replace("=", " ") for option in SMALL_MODEL[1:])
        self.settings = {
            "MUSTC": str(corpus),
            "OUT": str(out),
            "VOCAB_SIZE": "300",
            "ASR_VOCAB_SIZE": "80",
            "MODEL": "xs",
            "MODEL_OPTIONS": size,
            "MAX_TOKENS": "8000",
            "UPDATE_FREQ": "1",
            "WARMUP": "4",
            "ASR_UPDATES": "3",
            "ST_UPDATES": "4",
            "TUNE_UPDATES": "3",
            "TUNE_WARMUP": "1",
            "AVERAGE": "2",
            "NUM_WORKERS": "0",
            "CPU": "1",
            "CHUNKS": "4",
            "SIZE_BUDGET": "1.5",
            "BEAM": "1",
            "GENERATE_OPTIONS": "--max-len-a 0 --max-len-b 5",
            **settings,
        }

    def __call__(self, script, *arguments):
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, **self.settings, "PATH": path, "PYTHONPATH": str(REPO)}
        environment["OMP_NUM_THREADS"] = "1"
        return subprocess.run(
            [str(REPO / "examples" / "mustc" / script), *arguments],
            env=environment,
            cwd=self.out.parent,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def all(self, *arguments):
        """Run every script; gives what each printed."""
        printed = {}
        for name in NAMES:
            done = self(name, *arguments)
            assert done.returncode == 0, f"{name}: {done.stdout[-3000:]}{done.stderr[-1500:]}"
            printed[name] = done.stdout
        return printed

    def snapshot(self):
        return {path: path.stat().st_mtime_ns for path in sorted(self.out.rglob("*"))}


@pytest.fixture(scope="module")
def corpus(data):
    return data.parent


def parse(data, *extra):
    """Give the options of stock fairseq-train, as they were before and are since Hydra."""
    arguments = [
        str(data),
        "--task=speech_to_text",
        "--criterion=label_smoothed_cross_entropy",
        *RECIPE,
        *extra,
    ]
    parser = options.get_training_parser()
    namespace = options.parse_args_and_arch(parser, arguments)
    return namespace, convert_namespace_to_omegaconf(namespace)


@pytest.fixture(scope="module")
def stock(data, tmp_path_factory):
    """A checkpoint by stock fairseq, in the form that fairseq had when it published its own."""
    folder = tmp_path_factory.mktemp("stock")
    model = [option.replace("gist_", "") for option in SMALL_MODEL]
    namespace, cfg = parse(data, *model, "--max-update=1", f"--save-dir={folder}")
    fairseq_train.main(cfg)
    content = checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))
    del content["cfg"]
    torch.save({**content, "args": namespace}, folder / "published.pt")
    return folder / "published.pt"


# ------------------------------------------------------------------------------------- the chain
@pytest.mark.slow
def test_the_whole_chain_and_once_more(corpus, tmp_path):
    recipe = Recipe(corpus, tmp_path / "run")
    recipe.all()
    out = recipe.out
    assert plan_in_state(read_checkpoint(str(out / "shared/average.pt"))["model"]) is None
    plan = plan_in_state(read_checkpoint(str(out / "gradient/average.pt"))["model"])
    assert (
        plan.signature
        == json.loads((out / "plans/gradient.json").read_text(encoding="utf-8"))["signature"]
    )
    scores = json.loads((out / "scores.json").read_text(encoding="utf-8"))["systems"]
    assert [system["name"] for system in scores] == ["start", "shared", "gradient"]
    start, shared, gradient = (system["parameters"] for system in scores)
    assert start == shared < gradient <= 1.5 * shared
    assert {system["hypotheses"] for system in scores} == {64}
    assert "| gradient" in (out / "table.md").read_text(encoding="utf-8")

    before = recipe.snapshot()
    printed = recipe.all()
    assert recipe.snapshot() == before
    assert "gradient: done already" in printed["60_differentiate.sh"]

    recipe.settings["TUNE_LR"] = "1e-3"
    refused = recipe("60_differentiate.sh")
    assert refused.returncode == 1
    assert "shared was done with other settings: fairseq-train" in refused.stderr


@pytest.mark.slow
def test_from_a_stock_checkpoint_with_its_own_vocabulary(corpus, data, stock, tmp_path):
    for extension in ("model", "txt"):
        shutil.copy(data / f"spm_unigram300_st.{extension}", tmp_path / f"theirs.{extension}")
    recipe = Recipe(
        corpus,
        tmp_path / "run",
        START=str(stock),
        VOCABULARY=str(tmp_path / "theirs"),
        SYSTEMS="attention",
    )
    printed = recipe.all()
    for name in ("20_asr.sh", "30_st.sh"):
        assert f"skipped: START={stock} is the starting point" in printed[name]
    out = recipe.out
    assert not (out / "asr").exists()
    assert not (out / "data" / "train_asr.tsv").exists()
    assert (out / "data" / "theirs.txt").is_file()
    systems = json.loads((out / "scores.json").read_text(encoding="utf-8"))["systems"]
    assert [system["name"] for system in systems] == ["start", "attention"]
    assert (out / "table.md").is_file()


# ------------------------------------------------------------------------------ one script a time
def test_a_dry_run_prints_the_commands_and_writes_nothing(corpus, tmp_path):
    recipe = Recipe(corpus, tmp_path / "run", SYSTEMS="shared gradient language-specific")
    printed = recipe.all("--dry-run")
    assert not list(tmp_path.iterdir())
    for name, command in {
        "10_prepare.sh": "fairseq-gist prepare",
        "20_asr.sh": "fairseq-train",
        "30_st.sh": f"--load-pretrained-encoder-from {recipe.out}/asr/average.pt",
        "40_record.sh": f"fairseq-gist record {recipe.out}/st/average.pt",
        "50_plan.sh": "fairseq-gist plan language-specific",
        "60_differentiate.sh": f"--sharing-plan {recipe.out}/plans/gradient.json",
        "70_average.sh": f"-o {recipe.out}/gradient/average.pt",
        "80_evaluate.sh": "--beam 1 --lenpen 0.6",
        "90_table.sh": "fairseq-gist score start=",
    }.items():
        assert command in printed[name]
    assert "plan shared" not in printed["50_plan.sh"]
    assert printed["60_differentiate.sh"].count("fairseq-train") == 3
    assert printed["60_differentiate.sh"].count("--sharing-plan") == 2


def test_the_defaults_are_those_of_the_readme(corpus, tmp_path):
    recipe = Recipe(corpus, tmp_path / "run")
    for name in set(recipe.settings) - {"MUSTC", "OUT"}:
        del recipe.settings[name]
    printed = recipe("30_st.sh", "--dry-run").stdout
    for option in (
        "--arch gist_s2t_transformer_m",
        "--max-tokens 40000 --update-freq 8",
        "--lr 2e-3 --lr-scheduler inverse_sqrt --warmup-updates 10000 --clip-norm 10",
        "--label-smoothing 0.1",
    ):
        assert option in printed
    # 100,000 updates of 3,200 s, 6.42 GFLOP each, at 20 TFLOPS
    assert "at most 28.5 GPU hours" in printed
    assert "estimate, nothing here was measured" in printed


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("20_asr.sh", r"there is no .*/data/prepare.json; run 10_prepare.sh first"),
        ("30_st.sh", r"there is no .*/data/prepare.json; run 10_prepare.sh first"),
        ("40_record.sh", r"there is no .*/data/prepare.json; run 10_prepare.sh first"),
        ("50_plan.sh", r"there is no .*/statistics.npz; run 40_record.sh first"),
        ("60_differentiate.sh", r"there is no .*/data/prepare.json; run 10_prepare.sh first"),
        ("70_average.sh", r"there is no .*/done/shared; run 60_differentiate.sh first"),
        ("80_evaluate.sh", r"there is no .*/data/prepare.json; run 10_prepare.sh first"),
        (
            "90_table.sh",
            r"there is no .*/done/translate.start.tst-COMMON; run 80_evaluate.sh first",
        ),
    ],
)
def test_a_script_without_its_inputs_says_what_to_run_first(corpus, tmp_path, script, reason):
    recipe = Recipe(corpus, tmp_path / "run")
    done = recipe(script)
    assert done.returncode == 1
    assert re.search(f"^{script}: {reason}", done.stderr, re.MULTILINE)
    assert not (tmp_path / "run").exists()


def test_settings_that_can_not_work_are_refused(corpus, tmp_path):
    for settings, script, reason in [
        ({"MUSTC": ""}, "00_check.sh", "set MUSTC to the folder"),
        ({"MUSTC": ""}, "10_prepare.sh", "set MUSTC to the folder"),
        ({"START": "x.pt"}, "40_record.sh", "needs its vocabulary: VOCABULARY=PREFIX"),
        ({"CONFIG": "nowhere"}, "20_asr.sh", "CONFIG=nowhere: there is no such file"),
    ]:
        done = Recipe(corpus, tmp_path / "run", **settings)(script)
        assert done.returncode == 1
        assert reason in done.stderr
    done = Recipe(corpus, tmp_path / "run")("20_asr.sh", "--dry")
    assert "unknown option --dry; there are --dry-run and --help" in done.stderr
    assert (
        "Pre-trains the encoder" in Recipe(corpus, tmp_path / "run")("20_asr.sh", "--help").stdout
    )


def test_sampling_and_validation_are_by_language(corpus, tmp_path):
    recipe = Recipe(corpus, tmp_path / "run", TEMPERATURE="5", LANGUAGES="de es")
    printed = recipe("30_st.sh", "--dry-run").stdout
    assert "--sampling-temperature 5" in printed
    assert "--valid-subset dev_de\\,dev_es" in printed


def test_settings_from_a_file(corpus, tmp_path):
    (tmp_path / "mine").write_text("MODEL=s\nMAX_TOKENS=123\n", encoding="utf-8")
    recipe = Recipe(corpus, tmp_path / "run", CONFIG=str(tmp_path / "mine"))
    printed = recipe("30_st.sh", "--dry-run").stdout
    assert "--arch gist_s2t_transformer_s " in printed
    assert "--max-tokens 123 " in printed


def test_an_interrupted_stage_is_not_marked_as_done(corpus, tmp_path):
    recipe = Recipe(corpus, tmp_path / "run", VOCAB_SIZE="9999")
    done = recipe("10_prepare.sh")
    assert done.returncode == 1
    assert "prepare failed, see" in done.stderr
    assert "too large for the text" in (recipe.out / "logs" / "prepare.log").read_text(
        encoding="utf-8"
    )
    assert not (recipe.out / "done" / "prepare").exists()
    recipe.settings["VOCAB_SIZE"] = "300"
    assert recipe("10_prepare.sh").returncode == 0


def test_the_check_names_all_that_is_missing(corpus, tmp_path):
    broken = tmp_path / "mustc"
    shutil.copytree(corpus, broken, ignore=shutil.ignore_patterns("fairseq"))
    shutil.rmtree(broken / "en-fr" / "data" / "dev")
    next((broken / "en-ru" / "data" / "train" / "wav").iterdir()).unlink()
    recipe = Recipe(broken, tmp_path / "run")
    done = recipe("00_check.sh")
    assert done.returncode == 1
    assert "en-fr/data/dev/txt/dev.yaml: no such file" in done.stderr
    assert "en-ru/data/train/txt/train.yaml names" in done.stderr
    recipe.settings["MUSTC"] = str(corpus)
    done = recipe("00_check.sh")
    assert done.returncode == 0, done.stderr
    assert "dev ru                 8" in done.stdout
    assert "hours of different utterances" in done.stdout
    assert not recipe.out.exists()


# --------------------------------------------------------------- the public checkpoint's real shape
class MediumTask:
    """What a stock model needs of its task: a vocabulary of the public checkpoint's size."""

    def __init__(self):
        self.target_dictionary = Dictionary()
        for language in LANGUAGES:
            self.target_dictionary.add_symbol(f"<lang:{language}>")
        while len(self.target_dictionary) < 10000:
            self.target_dictionary.add_symbol(f"piece{len(self.target_dictionary)}")
        self.languages = LANGUAGES


@pytest.fixture(scope="module")
def medium(data):
    """s2t_transformer_m by stock fairseq, and its options in both forms."""
    namespace, cfg = parse(data, "--arch=s2t_transformer_m")
    namespace.input_feat_per_channel, namespace.input_channels = 80, 1
    torch.manual_seed(1)
    return S2TTransformerModel.build_model(namespace, MediumTask()).eval(), namespace, cfg


@pytest.mark.slow
@pytest.mark.parametrize("form", ["args", "cfg"])
def test_a_checkpoint_of_the_real_shape_is_a_starting_point(medium, form, tmp_path):
    stock_model, namespace, cfg = medium
    assert count_parameters(stock_model) == 76_327_936
    history = {
        "criterion_name": "LabelSmoothedCrossEntropyCriterion",
        "optimizer_name": "FairseqAdam",
        "lr_scheduler_state": {"best": None},
        "num_updates": 100000,
    }
    content = {
        "args": namespace if form == "args" else None,
        "cfg": OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),
        "model": stock_model.state_dict(),
        "optimizer_history": [history],
        "extra_state": {"train_iterator": {"epoch": 90, "iterations_in_epoch": 0}},
        "last_optimizer_state": None,
    }
    if form == "args":
        del content["cfg"]
    path = tmp_path / "mustc_multilingual_st_transformer_m.pt"
    torch.save(content, path)
    task = MediumTask()
    batch = {
        "src_tokens": torch.randn(2, 60, 80),
        "src_lengths": torch.tensor([60, 48]),
        "prev_output_tokens": torch.tensor([[2, 4, 100, 101], [2, 11, 200, 201]]),
    }
    with torch.no_grad():
        wanted = stock_model(**batch)[0]
        # as fairseq-gist record reads it
        recorded = model_from(read_checkpoint(str(path)), str(path), LANGUAGES, task).eval()
        # as fairseq-train --finetune-from-model does
        trained = GistS2TTransformer.build_model(
            Namespace(**{**vars(namespace), "arch": "gist_s2t_transformer_m"}), task
        ).eval()
        state = checkpoint_utils.load_checkpoint_to_cpu(str(path))
        trained.load_state_dict(state["model"], strict=True, model_cfg=state["cfg"].model)
        for model in (recorded, trained):
            found = model(**batch, lang_ids=torch.tensor([0, 7]))[0]
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
