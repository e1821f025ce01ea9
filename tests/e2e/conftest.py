"""Real data, real training: a tiny spoken corpus, and fairseq run inside the test's process."""

import logging
from pathlib import Path
from typing import List, NamedTuple

import pytest
import torch
from fairseq import checkpoint_utils, options
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq_cli import train as fairseq_train

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.main import main as gist
from fairseq_gist.tasks.registration import register

register()

from fairseq_gist.tasks.gist_speech_to_text import GistSpeechToTextTask  # noqa: E402

SMALL_MODEL = [
    "--arch=gist_s2t_transformer_xs",
    "--encoder-layers=2",
    "--decoder-layers=2",
    "--encoder-embed-dim=32",
    "--decoder-embed-dim=32",
    "--encoder-ffn-embed-dim=64",
    "--decoder-ffn-embed-dim=64",
    "--encoder-attention-heads=4",
    "--decoder-attention-heads=4",
    "--conv-channels=32",
    "--dropout=0.1",
]
RECIPE = [
    "--config-yaml=config_st.yaml",
    "--train-subset=train",
    "--valid-subset=dev",
    "--max-tokens=4000",
    "--label-smoothing=0.1",
    "--ignore-prefix-size=1",
    "--optimizer=adam",
    "--lr=2e-3",
    "--lr-scheduler=inverse_sqrt",
    "--warmup-updates=4",
    "--seed=1",
    "--cpu",
    "--num-workers=0",  # a worker is a copy of this process, and fairseq lets many of them live on
    "--log-format=simple",
    "--log-interval=1",
    "--no-epoch-checkpoints",
]


class Step(NamedTuple):
    """One forward and backward pass."""

    update: int
    loss: float


class Run(NamedTuple):
    """A finished training run."""

    folder: Path
    steps: List[Step]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint_last.pt"

    def load(self) -> dict:
        return checkpoint_utils.load_checkpoint_to_cpu(str(self.checkpoint))


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """The tiny corpus in eight languages as fairseq data, SpecAugment on."""
    root = tmp_path_factory.mktemp("corpus")
    assert gist(["corpus", "cldr", str(root), "--size", "tiny", "--workers", "1"]) == 0
    out = root / "fairseq"
    arguments = ["--out", str(out), "--vocab-size", "300", "--workers", "1"]
    assert gist(["prepare", str(root), *arguments]) == 0
    return out


@pytest.fixture(scope="session")
def spoken_corpus(tmp_path_factory) -> Path:
    """Three languages, one with less of training, spoken and translated into English."""
    root = tmp_path_factory.mktemp("spoken")
    command = ["corpus", "cldr", str(root), "--size=tiny", "--direction=many-to-one"]
    assert gist([*command, "--languages=de,es,ru", "--sizes=ru=16", "--workers=1"]) == 0
    return root


@pytest.fixture(scope="session")
def spoken(spoken_corpus) -> Path:
    """The corpus of three spoken languages as fairseq data, without language tags."""
    command = ["prepare", str(spoken_corpus), "--target=en", "--vocab-size=100", "--workers=1"]
    assert gist(command) == 0
    return spoken_corpus / "fairseq"


@pytest.fixture(scope="session")
def spoken_tagged(spoken_corpus) -> Path:
    """The same with the tag of English before every translation."""
    out = spoken_corpus / "tagged"
    command = ["prepare", str(spoken_corpus), "--target=en", "--vocab-size=100", "--workers=1"]
    assert gist([*command, "--target-tag", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def train(request):
    """Train in this process: ``train(folder, *options)`` gives a :class:`Run`."""

    def run(
        folder: Path, *extra: str, model=None, recipe_changes=None, drop=(), replace_data=False
    ) -> Run:
        changes = recipe_changes or {}
        replaced = {*changes, *drop}
        recipe = [option for option in RECIPE if option.split("=")[0] not in replaced]
        recipe += [f"{name}={value}" for name, value in changes.items()]
        arguments = [
            *([] if replace_data else [str(request.getfixturevalue("data"))]),
            "--task=gist_speech_to_text",
            "--criterion=gist_label_smoothed_cross_entropy",
            *(SMALL_MODEL if model is None else model),
            *recipe,
            f"--save-dir={folder}",
            *extra,
        ]
        parser = options.get_training_parser()
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
        steps: List[Step] = []
        original = GistSpeechToTextTask.train_step

        def train_step(self, sample, model, criterion, optimizer, update_num, *args, **kwargs):
            result = original(
                self, sample, model, criterion, optimizer, update_num, *args, **kwargs
            )
            steps.append(Step(update_num, result[0].item()))
            return result

        GistSpeechToTextTask.train_step = train_step
        try:
            fairseq_train.main(cfg)
        finally:
            GistSpeechToTextTask.train_step = original
        return Run(Path(folder), steps)

    logging.getLogger("fairseq").setLevel(logging.WARNING)
    return run


@pytest.fixture(scope="session")
def differentiated(train, tmp_path_factory) -> Run:
    """A run that differentiated after 6 of 8 updates, from gradients of 4 chunks."""
    folder = tmp_path_factory.mktemp("differentiated")
    return train(
        folder,
        "--max-update=8",
        "--differentiate-at=6",
        "--gradient-window=4",
        "--gradient-chunks=4",
        f"--save-gradient-statistics={folder / 'statistics.npz'}",
    )


def used(state: dict) -> dict:
    """Return a state dict without what fairseq 0.12.2 saves and doesn't use.

    That are second copies of encoder layers, which it fills in when it loads a checkpoint, and a
    tensor that it never initialises.
    """
    own = recognise(map(str, state))
    return {
        key: value
        for key, value in state.items()
        if not own.is_unused(str(key)) and not str(key).endswith("_float_tensor")
    }


def assert_same_tensors(one: dict, other: dict) -> None:
    """Compare two state dicts bit for bit, naming the entry that differs."""
    assert list(one) == list(other)
    for key, tensor in used(one).items():
        if torch.is_tensor(tensor):
            difference = (tensor.double() - other[key].double()).abs().max().item()
            assert difference == 0.0, f"{key} differs by {difference}"
