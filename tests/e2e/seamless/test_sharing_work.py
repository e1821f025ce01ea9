"""What SeamlessM4T saves like the other architectures: encoding once, recomputing, adapters."""

import functools
import sys

import pytest
import torch

from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_of
from tests.e2e.helpers import batch_of, build, differentiate_at_random, random_plan

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

EVERY = r"(en|de)coder\..*"
LAST = r"encoder\.layers\.1\.ffn2\..*"


@pytest.fixture(scope="module")
def translated(seamless_data, tmp_path_factory):
    """Every utterance with translations into two languages."""
    root = tmp_path_factory.mktemp("translated")
    lines = (seamless_data / "dev.tsv").read_text(encoding="utf-8").splitlines()
    twice = [line[: -len("eng")] + "spa" for line in lines[1:]]
    for name in ("train", "dev"):
        text = "\n".join([lines[0], *lines[1:], *twice]) + "\n"
        (root / f"{name}.tsv").write_text(text, encoding="utf-8")
    (root / "config_st.yaml").write_text(f"audio_root: {seamless_data}\n", encoding="utf-8")
    return root


@pytest.fixture
def parts(translated, model_options):
    task, model, criterion = build(translated, "--multiway-batches", model=model_options)
    return task, model.eval(), criterion


def rows_seen(model, sample, *paths):
    """Return how many rows the modules at ``paths`` are run on."""
    seen = {}

    def note(path, module, inputs):
        seen.setdefault(path, inputs[0].size(0))

    for path in paths:
        model.get_submodule(path).register_forward_pre_hook(functools.partial(note, path))
    model(**sample["net_input"])
    return [seen[path] for path in paths]


def test_an_utterance_is_encoded_once_until_languages_differ(parts):
    task, model, _ = parts
    sample = batch_of(task, 12, multiway=True)
    apply_plan(model, random_plan(model, task.languages, pattern=LAST), model.routing)
    before, after = "encoder.layers.0.ffn1.intermediate_dense", "encoder.inner_layer_norm"
    assert rows_seen(model, sample, before, after) == [12, 24]


def test_keys_and_values_are_projected_once_a_source(parts):
    task, model, _ = parts
    sample = batch_of(task, 12, multiway=True)
    attention = "decoder.layers.0.cross_attention"
    projections = [f"{attention}.{name}_proj" for name in "kvq"]
    assert rows_seen(model, sample, *projections) == [12, 12, 24]


@pytest.mark.parametrize("pattern", [LAST, r"decoder\..*", EVERY])
def test_loss_and_gradients_are_those_of_single_rows(parts, pattern):
    task, model, criterion = parts
    differentiate_at_random(model, task.languages, pattern=pattern).eval()
    gradients = []
    for sample in (batch_of(task, 12), batch_of(task, 12, multiway=True)):
        model.zero_grad()
        loss = criterion(model, sample)[0]
        loss.backward()
        found = {name: own.grad for name, own in model.named_parameters()}
        found = {name: grad.clone() for name, grad in found.items() if grad is not None}
        gradients.append((loss.item(), found))
    (one, ours), (other, theirs) = gradients
    assert one == pytest.approx(other, rel=1e-6)
    assert ours.keys() == theirs.keys()
    scale = max(gradient.abs().max().item() for gradient in ours.values())
    worst = max((ours[name] - theirs[name]).abs().max().item() for name in ours) / scale
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5


@pytest.mark.parametrize("option", ["--checkpoint-activations", "--offload-activations"])
def test_recomputing_layers_changes_no_gradient(translated, model_options, option):
    losses, gradients = [], []
    for extra in ([], [option]):
        task, model, criterion = build(
            translated, "--multiway-batches", *extra, model=model_options
        )
        differentiate_at_random(model, task.languages, pattern=EVERY).train()
        torch.manual_seed(5)
        loss = criterion(model, batch_of(task, 12, multiway=True))[0]
        loss.backward()
        losses.append(loss.item())
        gradients.append({name: own.grad for name, own in model.named_parameters()})
    assert losses[0] == losses[1]
    plain, recomputed = gradients
    # what several layers read gets the sum of their gradients, in another order
    known = {name: gradient for name, gradient in plain.items() if gradient is not None}
    scale = max(gradient.abs().max().item() for gradient in known.values())
    for name, gradient in known.items():
        assert (gradient - recomputed[name]).abs().max().item() <= 1e-6 * scale, name


def test_fresh_adapters_change_nothing_and_are_each_languages_own(translated, model_options):
    _, plain, _ = build(translated, "--multiway-batches", model=model_options)
    task, model, _ = build(translated, "--multiway-batches", "--adapter-dim=4", model=model_options)
    sample = batch_of(task, 12, multiway=True)
    with torch.no_grad():
        before, after = (one.eval()(**sample["net_input"])[0] for one in (plain, model))
    assert (before - after).abs().max().item() == 0.0
    plan = plan_of(model)
    split = {name for name, groups in plan.units.items() if len(groups) == 2}
    assert split == {name for name in plan.units if is_in_adapter(name)}
    assert {"encoder.layers.0.adapter.down", "decoder.layers.1.adapter.up"} <= split


def test_only_adapters_are_trained(translated, model_options):
    options = ["--multiway-batches", "--adapter-dim=4", "--train-only=adapters"]
    task, model, criterion = build(translated, *options, model=model_options)
    criterion(model.train(), batch_of(task, 12, multiway=True))[0].backward()
    trained = {name for name, own in model.named_parameters() if own.requires_grad}
    assert trained
    assert all(map(is_in_adapter, trained))
    ups = [own for name, own in model.named_parameters() if ".adapter.up." in name]
    assert all(own.grad.abs().max() > 0 for own in ups)
