"""Beam search with languages mixed in a batch."""

from argparse import Namespace

import pytest
import torch
from fairseq.models.speech_to_text.hub_interface import S2THubInterface

from fairseq_gist.errors import RoutingError
from fairseq_gist.languages.rows import LANGUAGE_TAG
from tests.e2e.conftest import SMALL_MODEL
from tests.e2e.helpers import batch_of, build, differentiate_at_random, rows_of, translate


@pytest.fixture(params=[[], ["--adapter-dim=8"]], ids=["no adapters", "adapters"])
def parts(data, request):
    task, model, _ = build(data, *request.param)
    differentiate_at_random(model, task.languages).eval()
    return task, model, batch_of(task, utterances=5, subset="tst-COMMON")


def test_a_mixed_batch_gives_what_one_language_at_a_time_gives(parts):
    task, model, sample = parts
    mixed = translate(task, model, sample)
    ids = sample["net_input"]["lang_ids"]
    largest = 0.0
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        alone = translate(task, model, rows_of(sample, rows))
        for row, hypotheses in zip(rows.tolist(), alone):
            assert [tokens for tokens, _ in hypotheses] == [tokens for tokens, _ in mixed[row]]
            differences = [abs(a[1] - b[1]) for a, b in zip(hypotheses, mixed[row])]
            largest = max(largest, *differences)
    # which kernel multiplies so many rows, and so how sums are rounded, is the processor's affair
    assert largest < 2e-6, f"scores differ by up to {largest}"


def test_languages_translate_differently(parts):
    task, model, sample = parts
    mixed = translate(task, model, sample)
    bodies = {str([tokens[1:] for tokens, _ in row]) for row in mixed[:8]}
    assert len(bodies) > 1


def test_permuting_the_ids_alone_is_noticed(parts):
    task, model, sample = parts
    ids = sample["net_input"]["lang_ids"]
    sample["net_input"]["lang_ids"] = ids.roll(1)
    with pytest.raises(RoutingError, match="begins with the tag of"):
        model(**sample["net_input"])
    with pytest.raises(SystemExit, match="begins with the tag of"):
        translate(task, model, sample)


def test_without_tags_permuted_ids_change_the_output(parts):
    task, model, sample = parts
    tags = [task.target_dictionary.index(LANGUAGE_TAG.format(one)) for one in task.languages]
    tokens = sample["net_input"]["prev_output_tokens"]
    for tag in tags:
        tokens[tokens == tag] = task.target_dictionary.unk()
    before = model(**sample["net_input"])[0]
    sample["net_input"]["lang_ids"] = sample["net_input"]["lang_ids"].roll(1)
    after = model(**sample["net_input"])[0]
    assert (before - after).abs().max() > 1e-3


def test_a_batch_without_ids_is_refused(parts):
    _, model, sample = parts
    del sample["net_input"]["lang_ids"]
    with pytest.raises(RoutingError, match="came without lang_ids"):
        model(**sample["net_input"])


def test_activation_checkpointing_routes_the_recomputation(data):
    results = []
    for extra in ([], ["--checkpoint-activations"]):
        task, model, criterion = build(data, *extra)
        differentiate_at_random(model, task.languages)
        model.train()
        torch.manual_seed(7)
        criterion(model, batch_of(task, utterances=3))[0].backward()
        results.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert list(results[0]) == list(results[1])
    largest = max(gradient.abs().max().item() for gradient in results[0].values())
    for name, gradient in results[0].items():
        difference = (gradient - results[1][name]).abs().max().item()
        assert difference <= 1e-6 * largest, f"{name} differs by {difference}, largest {largest}"


def test_ensembles_with_stock_models_in_any_order(parts, data):
    """Each member alone, and the mean of two: the order of the members makes no difference."""
    task, model, sample = parts
    _, stock, _ = build(data, model=["--arch=s2t_transformer_xs", *SMALL_MODEL[1:]])
    stock.eval()
    alone = [translate_all(task, [one], sample) for one in (model, stock)]
    assert alone[0] != alone[1]
    one, other = (translate_all(task, each, sample) for each in ([model, stock], [stock, model]))
    assert [[t for t, _ in row] for row in one] == [[t for t, _ in row] for row in other]
    worst = max(abs(a[1] - b[1]) for x, y in zip(one, other) for a, b in zip(x, y))
    assert worst < 1e-6, f"scores differ by {worst}"


def translate_all(task, models, sample):
    generator = task.build_generator(models, hub_options())
    found = task.inference_step(generator, models, sample, prefix_tokens=sample["target"][:, :1])
    return [[(each["tokens"].tolist(), each["score"].item()) for each in row] for row in found]


def hub_options():
    return Namespace(beam=5, max_len_b=12, prefix_size=1)


def test_the_hub_s_interface_takes_the_language_from_its_prefix(parts):
    task, model, sample = parts
    generator = task.build_generator([model], hub_options())
    rows = sample["net_input"]["lang_ids"].tolist()
    row, language = 3, task.languages[rows[3]]
    audio = {
        "src_tokens": sample["net_input"]["src_tokens"][row : row + 1],
        "src_lengths": sample["net_input"]["src_lengths"][row : row + 1],
        "prev_output_tokens": None,
    }
    own = {"net_input": audio, "target_lengths": None, "speaker": None}
    text = S2THubInterface.get_prediction(task, model, generator, own, tgt_lang=language)
    mixed = task.inference_step(
        task.build_generator([model], hub_options()),
        [model],
        sample,
        prefix_tokens=sample["target"][:, :1],
    )
    assert text == S2THubInterface.detokenize(task, mixed[row][0]["tokens"])
