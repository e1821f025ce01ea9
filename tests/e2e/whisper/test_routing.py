"""A Whisper whose rows go through their languages' copies, and what it saves like the others."""

import sys

import pytest
import torch

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.adapters import is_in_adapter
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_of
from tests.e2e.helpers import batch_of, build, differentiate_at_random, random_plan, translate
from tests.e2e.seamless.test_sharing_work import rows_seen
from tests.e2e.test_gradients import compare_with_oracle
from tests.e2e.whisper.helpers import PREFIX_SIZE, build_whisper, rows_of_language

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

EVERY = r"(en|de)coder\..*"
LEAVES = r"(en|de)coder\.(?!embed_tokens).*"
"""All but the embedding, whose two modules have one weight and so one gradient."""
LAST = r"encoder\.layers\.1\..*"
WINDOWS = [
    pytest.param("--whisper-window=full", marks=pytest.mark.slow),
    "--whisper-silence=0.2",
]


@pytest.fixture
def parts(whisper_data, model_options):
    task, model, criterion = build_whisper(
        whisper_data, "--whisper-silence=0.2", model=model_options
    )
    return task, model.eval(), criterion, batch_of(task, 12)


def test_a_split_of_everything_leaves_the_function(parts):
    task, model, _, sample = parts
    before = model(**sample["net_input"])[0]
    apply_plan(model, random_plan(model, task.languages, pattern=EVERY), model.routing)
    assert isinstance(model.encoder.conv1, GroupedModule)
    assert isinstance(model.decoder.embed_positions, GroupedModule)
    difference = (model(**sample["net_input"])[0] - before).abs().max().item()
    print(f"logits before and after the split differ by {difference}")  # noqa: T201
    # matrix products of few rows may round differently; the weights here are large
    assert difference < 1e-4 * before.abs().max().item()


@pytest.mark.parametrize("is_split", [False, True], ids=["shared", "split at random"])
def test_recorded_gradients_equal_those_of_the_split_batch(parts, is_split):
    task, model, criterion, sample = parts
    if is_split:
        differentiate_at_random(model, task.languages, pattern=EVERY)
    worst = compare_with_oracle(task, model, criterion, sample, LEAVES)
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-4, f"largest relative difference {worst}"


def test_beam_search_of_a_mixed_batch_is_that_of_one_language_at_a_time(parts):
    task, model, _, sample = parts
    differentiate_at_random(model, task.languages, pattern=EVERY).eval()
    mixed = translate(task, model, sample, PREFIX_SIZE)
    assert len({str(row[0][0][PREFIX_SIZE:]) for row in mixed}) > 1
    largest = 0.0
    for position in range(len(task.languages)):
        alone = translate(task, model, rows_of_language(sample, position), PREFIX_SIZE)
        rows = (sample["net_input"]["lang_ids"] == position).nonzero().flatten().tolist()
        for row, found in zip(rows, alone):
            assert [tokens for tokens, _ in mixed[row]] == [tokens for tokens, _ in found]
            pairs = zip(mixed[row], found)
            largest = max([largest, *(abs(one[1] - other[1]) for one, other in pairs)])
    print(f"scores differ by {largest}")  # noqa: T201
    assert largest < 1e-4


def test_one_step_at_a_time_gives_the_logits_of_all_at_once(parts):
    task, model, _, sample = parts
    differentiate_at_random(model, task.languages, pattern=EVERY).eval()
    net_input = dict(sample["net_input"])
    tokens = net_input.pop("prev_output_tokens")
    encoded = model.encoder(**net_input)
    whole = model.decoder(tokens, encoded)[0]
    state = {}
    steps = [model.decoder(tokens[:, : n + 1], encoded, state)[0] for n in range(7)]
    assert (torch.cat(steps, 1) - whole[:, :7]).abs().max() < 1e-4 * whole.abs().max()


def build_many(data, *extra, model):
    return build(data, "--multiway-batches", "--ignore-prefix-size=3", *extra, model=model)


@pytest.mark.parametrize("window", WINDOWS)
def test_an_utterance_is_encoded_once_until_languages_differ(translated, model_options, window):
    task, model, _ = build_many(translated, window, model=model_options)
    assert task.languages == ["en", "es"]
    sample = batch_of(task, 12, multiway=True)
    apply_plan(model.eval(), random_plan(model, task.languages, pattern=LAST), model.routing)
    attention = "decoder.layers.0.encoder_attn"
    seen = ["encoder.conv1", "encoder.layers.0.fc1", "encoder.layer_norm", f"{attention}.q_proj"]
    assert rows_seen(model, sample, *seen) == [12, 12, 24, 24]


@pytest.mark.parametrize("pattern", [LAST, r"decoder\..*", EVERY])
@pytest.mark.parametrize("window", WINDOWS)
def test_loss_and_gradients_are_those_of_single_rows(translated, model_options, window, pattern):
    task, model, criterion = build_many(translated, window, model=model_options)
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
    assert one == pytest.approx(other, rel=1e-5)
    assert ours.keys() == theirs.keys()
    scale = max(gradient.abs().max().item() for gradient in ours.values())
    worst = max((ours[name] - theirs[name]).abs().max().item() for name in ours) / scale
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5


def test_keys_and_values_are_projected_once_a_source(translated, model_options):
    task, model, _ = build_many(translated, model=model_options)
    attention = "decoder.layers.0.encoder_attn"
    projections = [f"{attention}.{name}_proj" for name in "kvq"]
    assert rows_seen(model.eval(), batch_of(task, 12, multiway=True), *projections) == [12, 12, 24]


@pytest.mark.slow
def test_recomputing_layers_changes_no_gradient(translated, model_options):
    losses, gradients = [], []
    for extra in ([], ["--checkpoint-activations"]):
        task, model, criterion = build_many(translated, *extra, model=model_options)
        differentiate_at_random(model, task.languages, pattern=EVERY).train()
        loss = criterion(model, batch_of(task, 12, multiway=True))[0]
        loss.backward()
        losses.append(loss.item())
        gradients.append({name: own.grad for name, own in model.named_parameters()})
    assert losses[0] == losses[1]
    plain, recomputed = gradients
    known = {name: gradient for name, gradient in plain.items() if gradient is not None}
    scale = max(gradient.abs().max().item() for gradient in known.values())
    for name, gradient in known.items():
        assert (gradient - recomputed[name]).abs().max().item() <= 1e-6 * scale, name


@pytest.mark.slow
def test_fresh_adapters_change_nothing_and_are_each_languages_own(translated, model_options):
    _, plain, _ = build_many(translated, model=model_options)
    task, model, _ = build_many(translated, "--adapter-dim=4", model=model_options)
    sample = batch_of(task, 12, multiway=True)
    with torch.no_grad():
        before, after = (one.eval()(**sample["net_input"])[0] for one in (plain, model))
    assert (before - after).abs().max().item() == 0.0
    plan = plan_of(model)
    split = {name for name, groups in plan.units.items() if len(groups) == 2}
    assert split == {name for name in plan.units if is_in_adapter(name)}
    assert {"encoder.layers.0.adapter.down", "decoder.layers.1.adapter.up"} <= split


def test_recognition_beside_translation_into_english_needs_the_targets_tag(
    translated, model_options, tmp_path
):
    """Otherwise a translation begins with the tag of what is spoken, another row's language."""
    for name in ("train", "dev"):
        text = (translated / f"{name}.tsv").read_text(encoding="utf-8")
        text = text.replace("\tru\tes\n", "\tru\tru\n")
        (tmp_path / f"{name}.tsv").write_text(text, encoding="utf-8")
    (tmp_path / "config_st.yaml").write_text(
        (translated / "config_st.yaml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    task, model, _ = build_many(tmp_path, model=model_options)
    assert task.languages == ["en", "ru"]
    with pytest.raises(RoutingError, match="its target begins with the tag of 'ru'"):
        model(**batch_of(task, 2)["net_input"])
    own = [*model_options, "--whisper-prompt=target"]
    task, model, _ = build_many(tmp_path, model=own)
    model(**batch_of(task, 2)["net_input"])
