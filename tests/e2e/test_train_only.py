"""Fine-tuning a part of a model: what is trained, and what must not change."""

import logging
import re

import pytest
import torch
from fairseq.modules import MultiheadAttention
from torch import nn

from fairseq_gist.architectures import recognise
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.units import count_trained
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, disturb_copies
from tests.e2e.test_checkpoints import GENERATE, fairseq, hypotheses

SPLIT = ["--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4", "--max-update=8"]


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def below(model, kinds):
    """Return the parameters at or below modules of these types."""
    return {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, kinds)
        for name, _ in module.named_parameters()
    }


@pytest.mark.parametrize(
    ("what", "sides"),
    [("lna-d", ["decoder"]), ("lna-e", ["encoder"]), ("lna-ed", ["encoder", "decoder"])],
)
def test_lna_trains_norms_and_attention(data, what, sides):
    _, model, _ = build(data, f"--train-only={what}")
    expected = {
        name
        for name in below(model, (nn.LayerNorm, MultiheadAttention))
        if name.split(".")[0] in sides
    }
    assert len(expected) == {"lna-d": 2 * (3 * 2 + 2 * 8) + 2, "lna-e": 2 * (2 * 2 + 8) + 2}.get(
        what, 2 * (3 * 2 + 2 * 8) + 2 * (2 * 2 + 8) + 4
    )
    assert trained(model) == expected
    _, with_adapters, _ = build(data, f"--train-only={what}", "--adapter-dim=4")
    assert trained(with_adapters) == expected


def test_a_regular_expression_names_modules_and_what_is_below_them(data):
    _, model, _ = build(data, r"--train-only=decoder\.layers\.1|encoder\..+\.fc1")
    assert trained(model) == {
        name
        for name, _ in model.named_parameters()
        if name.startswith("decoder.layers.1.") or (name[:2] == "en" and ".fc1." in name)
    }
    _, model, _ = build(data, "--train-only=encoder")
    everything = {name for name, _ in model.named_parameters() if name.startswith("encoder.")}
    assert trained(model) == {name for name in everything if not model.architecture.is_unused(name)}


def test_copies_are_like_what_they_are_copied_from(data, differentiated):
    saved = differentiated.load()["model"]
    _, model, _ = build(data, "--train-only=lna-d")
    before = trained(model)
    model.load_state_dict(dict(saved))
    after = trained(model)
    assert any(".copies." in name for name in after)
    assert {re.sub(r"\.copies\.\d+", "", name) for name in after} == before


@pytest.fixture(scope="module")
def finetune(train, differentiated):
    """Fine-tune a model that is split already."""

    def run(folder, *options):
        return train(folder, f"--finetune-from-model={differentiated.checkpoint}", *options)

    return run


@pytest.fixture(scope="module")
def uninterrupted(finetune, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lna")
    return finetune(folder, "--train-only=lna-ed", "--max-update=5")


def test_frozen_parameters_stay_bit_identical(differentiated, uninterrupted):
    before, after = differentiated.load()["model"], uninterrupted.load()["model"]
    assert plan_in_state(before) == plan_in_state(after)
    own = recognise(before)
    moved = {
        key.partition(".copies.")[0]
        for key, tensor in after.items()
        if not (own.is_unused(key) or key.endswith(("_float_tensor", "version")))
        and not torch.equal(tensor, before[key])
    }
    assert all("attn" in path or "layer_norm" in path for path in moved), moved
    assert any(path.startswith("encoder.") for path in moved)
    assert any(path.startswith("decoder.") for path in moved)


def test_resumed_equals_uninterrupted(finetune, uninterrupted, tmp_path):
    first = finetune(tmp_path, "--train-only=lna-ed", "--max-update=3")
    second = finetune(tmp_path, "--train-only=lna-ed", "--max-update=5")
    assert first.steps + second.steps == uninterrupted.steps
    resumed, whole = second.load(), uninterrupted.load()
    assert_same_tensors(resumed["model"], whole["model"])
    ours, theirs = (one["last_optimizer_state"]["state"] for one in (resumed, whole))
    assert list(ours) == list(theirs)
    for parameter, state in ours.items():
        assert_same_tensors(state, theirs[parameter])


def test_translating(uninterrupted, data, tmp_path, repo_root):
    done = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON_de", "--task=gist_speech_to_text",
        f"--path={uninterrupted.checkpoint}", f"--results-path={tmp_path}",
        plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path)) == 8


def test_the_log_says_how_much_is_trained(train, data, tmp_path, caplog):
    _, model, _ = build(data, "--train-only=lna-d")
    with caplog.at_level(logging.INFO):
        train(tmp_path, "--train-only=lna-d", "--max-update=1")
    lines = [r.getMessage() for r in caplog.records if "--train-only lna-d:" in r.getMessage()]
    assert len(lines) == 1
    assert f"lna-d: {count_trained(model):,} of " in lines[0]


def test_part_of_a_model_differentiates(train, tmp_path):
    attention = r"--units=decoder\.layers\..+_attn\..+"
    run = train(tmp_path, *SPLIT, "--train-only=lna-d", attention)
    split = [n for n, groups in plan_in_state(run.load()["model"]).units.items() if len(groups) > 1]
    assert split
    assert all("_attn." in name for name in split)


@pytest.mark.parametrize("what", ["lna-d", r"decoder\.layers\.1", "adapters", "decoder.layer_norm"])
def test_checkpointed_layers_behind_frozen_ones_get_their_gradients(data, what):
    """fairseq's activation checkpointing gives none where no input asks for one."""
    results = []
    for extra in ([], ["--checkpoint-activations"]):
        task, model, criterion = build(data, f"--train-only={what}", "--adapter-dim=4", *extra)
        disturb_copies(model).train()
        torch.manual_seed(7)
        criterion(model, batch_of(task, utterances=3))[0].backward()
        results.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        assert set(results[-1]) == trained(model)
    largest = max(gradient.abs().max().item() for gradient in results[0].values())
    for name, gradient in results[0].items():
        difference = (gradient - results[1][name]).abs().max().item()
        assert difference <= 1e-6 * largest, f"{name} differs by {difference}, largest {largest}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train-only=lna"], "'lna' is neither one of adapters, language-embeddings, lna-d"),
        (["--train-only=fc1"], "these go from 'encoder.subsample.conv_layers.0' to 'decoder."),
        (["--train-only=("], "nor a regular expression"),
        (["--train-only=adapters"], "--train-only adapters: the model has none; add --adapter-dim"),
        (
            ["--train-only=lna-d", *SPLIT],
            "--differentiate-at: 'decoder.layers.0.fc1' is frozen (--train-only) and has no",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_can_not_be_trained(train, tmp_path, options, message):
    with pytest.raises(SystemExit) as error:
        train(tmp_path / "run", "--max-update=1", *options)
    line = str(error.value)
    assert message in line, line
    assert line.startswith("fairseq-gist: error: ")
    assert not list(tmp_path.glob("**/*.pt"))
