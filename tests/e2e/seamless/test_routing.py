"""A SeamlessM4T whose rows go through their languages' copies of everything."""

import sys

import pytest
import torch

from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves.batch_norm import GroupedBatchNorm
from fairseq_gist.surgery.apply import apply_plan
from tests.e2e.helpers import batch_of, build, differentiate_at_random, random_plan, translate
from tests.e2e.seamless.generating import rows_of_language
from tests.e2e.test_gradients import compare_with_oracle

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

EVERY = r"(en|de)coder\..*"
LEAVES = r"(en|de)coder\.(?!embed_tokens).*"
"""All but the embedding, whose two modules have one weight and so one gradient."""


@pytest.fixture
def parts(seamless_data, model_options):
    task, model, criterion = build(seamless_data, "--language-key=src", model=model_options)
    return task, model.eval(), criterion, batch_of(task, 12)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_a_split_of_everything_leaves_the_function(parts, training):
    """In training too, where the batch norm has the statistics of all rows; dropout on."""
    task, model, _, sample = parts
    model.train(training)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    before = model(**sample["net_input"])[0]
    model.load_state_dict(state)
    apply_plan(model, random_plan(model, task.languages, pattern=EVERY), model.routing)
    assert isinstance(model.encoder.layers[0].self_attn.linear_pos, GroupedModule)
    assert isinstance(model.encoder.layers[0].conv_module.batch_norm, GroupedBatchNorm)
    assert isinstance(model.encoder.length_adaptor.layers[0].self_attn_conv, GroupedModule)
    torch.manual_seed(3)
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
    mixed = translate(task, model, sample)
    assert len({str(row[0][0]) for row in mixed}) > 1
    largest = 0.0
    for position in range(len(task.languages)):
        alone = translate(task, model, rows_of_language(sample, position))
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
    steps = [model.decoder(tokens[:, : n + 1], encoded, state)[0] for n in range(6)]
    assert (torch.cat(steps, 1) - whole[:, :6]).abs().max() < 1e-4


def test_targets_can_be_the_languages_too(seamless_data, model_options, tmp_path):
    """One utterance with translations into two languages, encoded once or twice."""
    lines = (seamless_data / "dev.tsv").read_text(encoding="utf-8").splitlines()
    twice = [line[: -len("eng")] + "spa" for line in lines[1:]]
    for name in ("train", "dev"):
        text = "\n".join([lines[0], *lines[1:], *twice]) + "\n"
        (tmp_path / f"{name}.tsv").write_text(text, encoding="utf-8")
    (tmp_path / "config_st.yaml").write_text(f"audio_root: {seamless_data}\n", encoding="utf-8")
    task, model, criterion = build(tmp_path, "--multiway-batches", model=model_options)
    assert task.languages == ["eng", "spa"]
    differentiate_at_random(model.eval(), task.languages, pattern=EVERY)
    rows = batch_of(task, 12)
    together = batch_of(task, 12, multiway=True)
    assert together["net_input"]["src_tokens"].size(0) == 12
    one, other = criterion(model, rows)[0].item(), criterion(model, together)[0].item()
    assert one == pytest.approx(other, rel=1e-5)
    assert len(translate(task, model, rows)) == 24
