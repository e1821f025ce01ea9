"""The table of fairseq's options: complete, and true through a split and a resume."""

import dataclasses
import runpy
import shutil
from pathlib import Path

import fairseq
import pytest
import torch
from fairseq.criterions import CRITERION_REGISTRY
from fairseq.dataclass import configs
from fairseq.optim import OPTIMIZER_REGISTRY
from fairseq.optim.lr_scheduler import LR_SCHEDULER_REGISTRY

from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.ranks import free_port, start, wait
from tests.regression import make

ROOT = Path(__file__).resolve().parents[2]
TABLE = runpy.run_path(str(ROOT / "docs" / "fairseq_options.py"))
ROWS = [row for rows in TABLE["SECTIONS"].values() for row in rows]
OF = {name: row.verdict for row in ROWS for name in row.names}
flag = TABLE["flag"]

SETTINGS = [
    configs.CommonConfig,
    configs.DistributedTrainingConfig,
    configs.DatasetConfig,
    configs.OptimizationConfig,
    configs.CheckpointConfig,
    configs.EMAConfig,
    configs.FairseqBMUFConfig,
]
NOT_EVERYWHERE = {"debug_param_names"}
SPLIT = [
    "--differentiate-at=6",
    "--gradient-window=4",
    "--gradient-chunks=4",
    "--size-budget=1.5",
]
DEFAULT = {
    "--task": "gist_speech_to_text",
    "--criterion": "gist_label_smoothed_cross_entropy",
    "--config-yaml": "config_st.yaml",
    "--train-subset": "train",
    "--valid-subset": "dev",
    "--max-tokens": "320",  # six updates an epoch: runs end in their second
    "--label-smoothing": "0.1",
    "--ignore-prefix-size": "1",
    "--optimizer": "adam",
    "--lr": "2e-3",
    "--lr-scheduler": "inverse_sqrt",
    "--warmup-updates": "4",
    "--max-update": "9",
    "--save-interval-updates": "4",
    "--seed": "1",
    "--cpu": None,
    "--num-workers": "0",
    "--log-format": "none",
    "--no-epoch-checkpoints": None,
}
HALF = "--fp16-init-scale=4"
TRIED = {
    "adafactor": ["--optimizer=adafactor"],
    "nag": [
        "--optimizer=nag",
        "--user-dir=fairseq_gist",
        "--criterion=label_smoothed_cross_entropy",
    ],
    "sgd": ["--optimizer=sgd", "--momentum=0.9", "--lr-scheduler=fixed"],
    "adagrad": ["--optimizer=adagrad", "--clip-norm=1"],
    "adadelta": ["--optimizer=adadelta", "--sentence-avg"],
    "adamax": ["--optimizer=adamax", "--update-freq=2", "--max-tokens=160", "--max-epoch=5"],
    "cosine": ["--lr-scheduler=cosine", "--lr-period-updates=20"],
    "tri_stage": ["--lr-scheduler=tri_stage", "--phase-ratio=(0.1,0.4,0.5)", "!--warmup-updates"],
    "polynomial": ["--lr-scheduler=polynomial_decay", "--total-num-update=50"],
    "plateau": ["--lr-scheduler=reduce_lr_on_plateau", "--lr-patience=0"],
    "triangular": [
        "--lr-scheduler=triangular",
        "--max-lr=4e-3",
        "--lr-period-updates=6",
        "!--warmup-updates",
    ],
    "step": ["--lr-scheduler=step", "--lr-deacy-period=4", "!--warmup-updates"],
    "manual": [
        "--lr-scheduler=manual",
        '--update2lr={"1": 1e-3, "5": 5e-4}',
        "!--warmup-updates",
    ],
    "limits": ["--stop-time-hours=1", "--stop-min-lr=1e-9", "--warmup-init-lr=1e-6"],
    "fp16": [
        "--fp16",
        "--fp16-no-flatten-grads",
        HALF,
        "--fp16-scale-window=2",
        "--fp16-scale-tolerance=0.1",
    ],
    "memory-efficient fp16": [
        "--memory-efficient-fp16",
        HALF,
        "--min-loss-scale=0.01",
        "--threshold-loss-scale=0.5",
    ],
    "bf16": ["--bf16"],
    "memory-efficient bf16": ["--memory-efficient-bf16"],
    "amp": ["--amp", "--amp-batch-retries=3", "--amp-init-scale=4", "--amp-scale-window=2"],
    "sizes": [
        "--batch-size=5",
        "--required-batch-size-multiple=8",
        "--required-seq-len-multiple=2",
        "--data-buffer-size=2",
    ],
    "whole updates": ["--skip-remainder-batch"],
    "validation": [
        "--skip-invalid-size-inputs-valid-test",
        "--max-tokens-valid=500",
        "--batch-size-valid=4",
        "--max-valid-steps=1",
        "--validate-interval=2",
        "--validate-interval-updates=3",
        "--fixed-validation-seed=7",
        "--ignore-unused-valid-subsets",
    ],
    "late validation": ["--validate-after-updates=3"],
    "no validation": ["--disable-validation"],
    "order": ["--curriculum=1", "--grouped-shuffling"],
    "an order an epoch": ["--update-ordered-indices-seed"],
    "batches an epoch": ["--update-epoch-batch-itr=True"],
    "kept": [
        "--save-interval=2",
        "--keep-interval-updates=2",
        "--keep-interval-updates-pattern=1",
        "--keep-last-epochs=1",
        "--keep-best-checkpoints=1",
        "--best-checkpoint-metric=nll_loss",
        "--maximize-best-checkpoint-metric",
        "--patience=99",
    ],
    "named": ["--checkpoint-suffix=-own", "--checkpoint-shard-count=1", "--no-last-checkpoints"],
    "reset": ["--reset-meters", "--reset-lr-scheduler", "--optimizer-overrides={'lr': [0.002]}"],
    "common": ["--empty-cache-freq=2", "--suppress-crashes", "--profile", "--seed=0"],
    "a worker": ["--num-workers=1"],
    "once": ["--continue-once=CHECKPOINT"],
    "restored": ["--restore-file=CHECKPOINT"],
}
if any(field.name == "debug_param_names" for field in dataclasses.fields(SETTINGS[3])):
    TRIED["names"] = ["--debug-param-names", "--fp16-no-flatten-grads"]
CTC, RDROP = (f"label_smoothed_cross_entropy_with_{name}" for name in ("ctc", "rdrop"))
if CTC in CRITERION_REGISTRY:
    TRIED["ctc"] = [f"--criterion={CTC}"]
HAS_RDROP = RDROP in CRITERION_REGISTRY
needs_rdrop = pytest.mark.skipif(not HAS_RDROP, reason="fairseq 0.12.2 has no R-drop")
NO_HALF_ON_CPU = {"fp16", "memory-efficient fp16"} if torch.__version__.startswith("1.") else set()
QUICK = ("an order an epoch",)

QUANTIZED = """n_centroids:
    Linear: {key: in_features, value: {"*": 8}}
block_sizes:
    Linear: {key: fuzzy_name, value: {fc: 8}}
layers_to_quantize:
    - decoder\\\\.layers\\\\.\\\\d+\\\\.fc[12]
"""
REFUSED = {
    "optimizer composite": (["--optimizer=composite"], "--optimizer composite: it is several"),
    "lr_scheduler pass_through": (
        ["--lr-scheduler=pass_through", "--optimizer=composite", "!--warmup-updates"],
        "--optimizer composite: it is several",
    ),
    "use_bmuf": (["--use-bmuf"], "--use-bmuf: its own copies"),
    "store_ema": (["--store-ema"], "--store-ema: its shadow model can't follow a split"),
    "quantization_config_path": (
        ["--quantization-config-path=QUANTIZED"],
        "--quantization-config-path: it replaces the same modules",
    ),
    "combine_valid_subsets": (["--combine-valid-subsets"], "valid.tsv: no such file"),
    "zero_sharding": (["--zero-sharding=os"], "--zero-sharding: sharded optimizer state"),
    "pipeline_model_parallel": (["--pipeline-model-parallel"], "a model in pieces"),
    "ddp_backend slowmo": (["--ddp-backend=slowmo"], "--ddp-backend slowmo: its own averages"),
    "fp16 alone": (["--fp16"], "add --fp16-no-flatten-grads"),
    "r-drop and tags": (
        [f"--criterion={RDROP}", "--rdrop-alpha=1"],
        "--ignore-prefix-size 1 leaves out",
    ),
    "r-drop and utterances": (
        [f"--criterion={RDROP}", "--multiway-batches"],
        "passes every row twice and can't with --multiway-batches",
    ),
    "adafactor and neurons": (
        ["--optimizer=adafactor", "--differentiate-by=gdps"],
        "--optimizer adafactor where neurons are divided",
    ),
}


def given(*extra):
    """Return the recipe's options with ``extra`` in their places; ``!--name`` leaves one out."""
    options = dict(DEFAULT)
    for word in extra:
        name, found, value = word.lstrip("!").partition("=")
        options.pop(name, None)
        if not word.startswith("!"):
            options[name] = value if found else None
    return [name if value is None else f"{name}={value}" for name, value in options.items()]


PLACED = {word.partition("=")[0] for word in given()}
"""Of the recipe that other tests have, what is said here."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make.usable(
        Path(make.__file__).parent / "data" / "one_to_many",
        tmp_path_factory.mktemp("options") / "data",
    )


@pytest.fixture
def run(train, tiny):
    """Train the tiny model on the tiny data: ``run(folder, *options)``."""

    def start(folder, *extra):
        options = [*SPLIT, *given(*extra)]
        return train(
            folder, str(tiny), *options, model=make.TRANSFORMER, replace_data=True, drop=PLACED
        )

    return start


# -- the table ------------------------------------------------------------------------------------


def test_the_page_is_the_table():
    written = (ROOT / "docs" / "fairseq-options.md").read_text(encoding="utf-8")
    again = "python docs/fairseq_options.py > docs/fairseq-options.md"
    assert written == TABLE["page"](), f"write it again: {again}"


def test_every_option_of_fairseq_is_in_the_table():
    there = {f.name for one in SETTINGS for f in dataclasses.fields(one)} - {"_name"}
    there |= {f"optimizer {name}" for name in OPTIMIZER_REGISTRY}
    there |= {f"lr_scheduler {name}" for name in LR_SCHEDULER_REGISTRY}
    assert sorted(there - set(OF)) == []
    assert sorted(set(OF) - there - NOT_EVERYWHERE) == []
    assert sum(len(row.names) for row in ROWS) == len(OF), "an option is in it twice"


def test_whatever_works_is_tried():
    words = {word.split("=")[0] for case in TRIED.values() for word in case}
    words |= {word.replace("=", " ") for case in TRIED.values() for word in case}
    words |= {word.split("=")[0] for word in given()} | {"--save-dir"}
    words |= {word.replace("=", " ") for word in given()}
    works = [name for name, verdict in OF.items() if verdict == TABLE["WORKS"]]
    assert [flag(name) for name in works if flag(name) not in words and name in _here()] == []
    both = {word.split("=")[0] for word in [*PROCESSES, *STARTED]}
    works = [name for name, verdict in OF.items() if verdict == TABLE["PROCESSES"]]
    assert [flag(name) for name in works if flag(name) not in both] == []


def _here():
    return set(OF) - (
        NOT_EVERYWHERE - {f.name for one in SETTINGS for f in dataclasses.fields(one)}
    )


def test_whatever_is_refused_is_seen_refused():
    refused = {name for name, verdict in OF.items() if verdict == TABLE["REFUSED"]}
    assert refused <= set(REFUSED)


# -- what it says ---------------------------------------------------------------------------------


def _same_after_a_resume(run, folder, *options):
    whole = run(folder / "whole", *[o for o in options if "CHECKPOINT" not in o])
    suffix = next((o.partition("=")[2] for o in options if "--checkpoint-suffix" in o), "")
    last = sorted((folder / "whole").glob(f"checkpoint_last{suffix}.pt"))
    last += sorted((folder / "whole").glob(f"checkpoint_*_8{suffix}.pt"))
    plan = plan_in_state(torch_file(last[0])["model"])
    assert plan is not None
    assert not plan.is_shared
    for stop in (4, 8):
        (found,) = (folder / "whole").glob(f"checkpoint_*_{stop}{suffix}.pt")
        resumed = folder / f"from {stop}"
        resumed.mkdir()
        start = resumed / f"checkpoint_last{suffix}.pt"
        own = [o.replace("CHECKPOINT", str(resumed / "elsewhere.pt")) for o in options]
        shutil.copy(found, start if own == list(options) else resumed / "elsewhere.pt")
        now = run(resumed, *own)
        assert now.steps, "it went on"
        assert len(now.steps) < len(whole.steps)
        assert now.steps == whole.steps[-len(now.steps) :]
        again = sorted(resumed.glob(f"checkpoint_*_8{suffix}.pt")) if stop == 4 else []
        if "--no-last-checkpoints" not in options:
            again.append(start)
        for ours in again:
            theirs = folder / "whole" / ours.name
            if theirs.exists():  # --keep-best-checkpoints and the like keep their own
                assert_same_tensors(torch_file(ours)["model"], torch_file(theirs)["model"])


def torch_file(path):
    from fairseq import checkpoint_utils

    return checkpoint_utils.load_checkpoint_to_cpu(str(path))


@pytest.mark.parametrize("name", QUICK)
def test_some_that_work(run, tmp_path, name):
    _same_after_a_resume(run, tmp_path, *TRIED[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*GradScaler is enabled, but CUDA:UserWarning")
@pytest.mark.filterwarnings("ignore:CUDA is not available or torch_xla:UserWarning")
@pytest.mark.parametrize("name", [name for name in TRIED if name not in QUICK])
def test_all_that_work(run, tmp_path, name):
    if name == "whole updates" and fairseq.__version__ == "0.12.2":
        pytest.skip("fairseq 0.12.2 itself loses its place in the epoch")
    if name in NO_HALF_ON_CPU:
        pytest.skip("torch 1.12 has no half-precision convolution on the CPU")
    _same_after_a_resume(run, tmp_path, *TRIED[name])


@needs_rdrop
@pytest.mark.slow
def test_rdrop_of_targets_without_a_tag(train, tmp_path):
    data = make.usable(Path(make.__file__).parent / "data" / "into_english", tmp_path / "data")
    rdrop = [f"--criterion={RDROP}", "--rdrop-alpha=1"]
    spoken = ["--language-key=src", "--ignore-prefix-size=0", *rdrop]

    def start(folder, *extra):
        options = [str(data), *SPLIT, *given(*spoken, *extra)]
        return train(folder, *options, model=make.TRANSFORMER, replace_data=True, drop=PLACED)

    _same_after_a_resume(start, tmp_path)


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused(run, tmp_path, name):
    if name.startswith("r-drop") and not HAS_RDROP:
        pytest.skip("fairseq 0.12.2 has no R-drop")
    options, reason = REFUSED[name]
    (tmp_path / "quantized.yaml").write_text(QUANTIZED, encoding="utf-8")
    own = [word.replace("QUANTIZED", str(tmp_path / "quantized.yaml")) for word in options]
    with pytest.raises(SystemExit) as error:
        run(tmp_path / "run", *own)
    assert reason in str(error.value), error.value
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("**/*.pt"))


PROCESSES = [
    "--ddp-backend=c10d",
    "--find-unused-parameters",
    "--fast-stat-sync",
    "--heartbeat-timeout=60",
    "--all-gather-list-size=32768",
    "--load-checkpoint-on-all-dp-ranks",
    "--fix-batches-to-gpus",
]
STARTED = [
    "--distributed-no-spawn",
    "--distributed-world-size=2",
    "--distributed-backend=gloo",
    "--distributed-rank={rank}",
    "--distributed-init-method=tcp://localhost:{port}",
]


def _as_two(tiny, folder, *extra):
    port, arguments = free_port(), [str(tiny), *make.TRANSFORMER, *SPLIT, *given(*extra)]
    arguments += [f"--user-dir={ROOT / 'fairseq_gist'}", f"--save-dir={folder}"]
    started = [
        start([*arguments, *(word.format(rank=rank, port=port) for word in STARTED)])
        for rank in range(2)
    ]
    for ended in wait(started):
        assert ended.status == 0, ended.output[-3000:]


@pytest.mark.slow
def test_two_processes(tiny, tmp_path):
    _as_two(tiny, tmp_path / "whole", *PROCESSES, "--max-tokens=160")
    for stop in (4, 8):
        (found,) = (tmp_path / "whole").glob(f"checkpoint_*_{stop}.pt")
        folder = tmp_path / f"from {stop}"
        folder.mkdir()
        shutil.copy(found, folder / "checkpoint_last.pt")
        _as_two(tiny, folder, *PROCESSES, "--max-tokens=160")
        own, other = (
            torch_file(where / "checkpoint_last.pt")["model"]
            for where in (folder, tmp_path / "whole")
        )
        assert not plan_in_state(own).is_shared
        assert_same_tensors(own, other)
