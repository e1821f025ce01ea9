"""Utterances encoded once, against every row with audio of its own: the same numbers."""

import copy

import pytest
import torch

from fairseq_gist.recording.watching import recording
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import find_units, select_units
from tests.e2e.helpers import batch_of, build, disturb_copies, random_plan

HALVES = [["de", "es", "fr", "it"], ["nl", "pt", "ro", "ru"]]
LAYER_1 = "encoder.transformer_layers.1."
EVERY = r"(en|de)coder\..*"


class Sums:
    """Adds up what a model hands on."""

    def __init__(self):
        self.of = {}

    def add(self, unit, part, languages, gradients):
        for language, gradient in zip(languages, gradients):
            key = (unit, part, language)
            self.of[key] = self.of[key] + gradient if key in self.of else gradient.clone()


@pytest.fixture
def parts(data):
    task, model, criterion = build(data)
    model.eval()
    return task, model, criterion, ragged(batch_of(task, utterances=5, multiway=True))


def ragged(sample):
    """Leave an utterance three of its languages, another one, and mix up the rows."""
    own = sample["net_input"]
    missing = {(1, 0), (1, 2), (1, 3), (1, 5), (1, 7), *((3, language) for language in range(7))}
    pairs = list(zip(own["utterances"].tolist(), own["lang_ids"].tolist()))
    keep = torch.tensor([row for row, pair in enumerate(pairs) if pair not in missing])
    keep = keep[torch.randperm(len(keep), generator=torch.Generator().manual_seed(1))]
    return {
        "target": sample["target"][keep],
        "ntokens": sample["ntokens"],
        "net_input": {
            **own,
            **{k: own[k][keep] for k in ("prev_output_tokens", "lang_ids", "utterances")},
        },
    }


def every_row(sample):
    """Give every row of a multi-way batch its own copy of the audio."""
    own = dict(sample["net_input"])
    utterances = own.pop("utterances")
    for name in ("src_tokens", "src_lengths"):
        own[name] = own[name].index_select(0, utterances)
    return {**sample, "net_input": own}


def run(model, criterion, sample, recording=False):
    """Return loss, gradients and what was recorded."""
    model.zero_grad()
    model.routing.sink = sums = Sums() if recording else None
    loss = criterion(model, sample)[0]
    loss.backward()
    model.routing.sink = None
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return loss.item(), gradients, sums.of if sums else {}


def worst_difference(one, other):
    """Return the largest relative difference.

    Some gradients are zero but for rounding: adding to all keys leaves a softmax as it is.
    """
    assert one.keys() == other.keys()
    least = 1e-3 * max(gradient.norm() for gradient in other.values())
    return max(
        ((one[key] - other[key]).norm() / other[key].norm().clamp(min=least)).item() for key in one
    )


def split(model, languages, what):
    units = dict(random_plan(model, languages, seed=3).units)
    if what == "nothing":
        return
    if what in ("an encoder layer", "both encoder layers"):
        units[LAYER_1 + "fc1"] = HALVES
    if what == "both encoder layers":
        units["encoder.transformer_layers.0.self_attn.k_proj"] = [["de"], list(languages[1:])]
        units["encoder.layer_norm"] = [["de", "es"], ["fr", "it"], ["nl", "pt"], ["ro", "ru"]]
    apply_plan(model, SharingPlan(languages, units), model.routing)
    disturb_copies(model, seed=5)


@pytest.mark.parametrize("what", ["nothing", "decoder", "an encoder layer", "both encoder layers"])
@pytest.mark.parametrize("recorded", [None, "decoder", "every unit"])
def test_encoding_once_changes_no_number(parts, what, recorded):
    task, model, criterion, sample = parts
    split(model, tuple(task.languages), what)
    if recorded:
        units = select_units(find_units(model), EVERY if recorded == "every unit" else None)
        recording(model, units.values(), model.routing)
    once = run(model, criterion, sample, bool(recorded))
    each = run(model, criterion, every_row(sample), bool(recorded))
    assert once[0] == pytest.approx(each[0], rel=1e-6)
    differences = [worst_difference(once[1], each[1])]
    if recorded:
        differences.append(worst_difference(once[2], each[2]))
    assert max(differences) < 1e-5, f"relative differences {differences}"


@pytest.mark.parametrize("recorded", [None, r".+\.adapter\..+"])
def test_adapters_change_no_number_either(data, recorded):
    task, model, criterion = build(data, "--adapter-dim=8")
    disturb_copies(model.eval())
    sample = ragged(batch_of(task, utterances=5, multiway=True))
    if recorded:
        units = select_units(find_units(model), recorded)
        recording(model, units.values(), model.routing)
    once = run(model, criterion, sample, bool(recorded))
    each = run(model, criterion, every_row(sample), bool(recorded))
    assert once[0] == pytest.approx(each[0], rel=1e-6)
    assert any(".adapter.up.copies." in name for name in once[1])
    assert worst_difference(once[1], each[1]) < 1e-5
    if recorded:
        assert worst_difference(once[2], each[2]) < 1e-5


def rows_through_layers(model, sample):
    """Return how many rows each encoder layer, and the first projection of keys, ran on."""
    counts = []
    attention = model.decoder.layers[0].encoder_attn
    handles = [
        module.register_forward_hook(lambda m, inputs, out: counts.append(inputs[0].size(1)))
        for module in [*model.encoder.transformer_layers, attention.k_proj]
    ]
    model(**sample["net_input"])
    for handle in handles:
        handle.remove()
    return counts


def test_the_encoder_runs_once_as_far_as_it_is_shared(data):
    task, model, _ = build(data)
    sample = batch_of(task, utterances=3, multiway=True)
    layers = len(model.encoder.transformer_layers)
    assert rows_through_layers(model, sample) == [3] * (layers + 1)

    languages = tuple(task.languages)
    units = dict(random_plan(model, languages).units, **{LAYER_1 + "fc1": HALVES})
    apply_plan(copied := copy.deepcopy(model), SharingPlan(languages, units), copied.routing)
    assert rows_through_layers(copied, sample)[:2] == [3, 6]


def test_recording_the_decoder_leaves_the_encoder_at_once(data):
    task, model, _ = build(data)
    recording(model, select_units(find_units(model)).values(), model.routing)
    model.routing.sink = Sums()
    rows = rows_through_layers(model, batch_of(task, utterances=3, multiway=True))
    assert rows == [3] * len(rows)


def test_reordering_gives_every_row_its_encoding(parts):
    _, model, _, sample = parts
    order = torch.tensor([3, 3, 0, 7])
    own, plain = sample["net_input"], every_row(sample)["net_input"]
    names = ("src_tokens", "src_lengths", "lang_ids", "utterances")
    once = model.encoder(**{name: own[name] for name in names})
    each = model.encoder(**{name: plain[name] for name in names[:3]})
    assert once["encoder_out"][0].size(1) == 5
    once, each = (model.encoder.reorder_encoder_out(out, order) for out in (once, each))
    assert torch.equal(once["lang_ids"][0], each["lang_ids"][0])
    assert not once["source_of"]
    torch.testing.assert_close(once["encoder_out"][0], each["encoder_out"][0])
    torch.testing.assert_close(once["encoder_padding_mask"][0], each["encoder_padding_mask"][0])


@pytest.mark.parametrize(("frames", "tokens"), [(4000, None), (4000, 400), (None, 500), (4000, 1)])
def test_batches_keep_to_frames_and_target_tokens(data, frames, tokens):
    task, _, _ = build(data)
    rows = task.reader().read("train", True, multiway=True, max_target_tokens=tokens)
    order = rows.ordered_indices()
    batches = rows.batch_by_size(order, max_tokens=frames, max_sentences=16)
    assert [index for batch in batches for index in batch] == order.tolist()
    limit = tokens or frames
    most = 0
    for batch in batches:
        sample = rows.collater([rows[index] for index in batch])
        size = sample["target"].numel()
        assert size <= limit or len(batch) == 1
        assert frames is None or sample["net_input"]["src_tokens"][..., 0].numel() <= frames
        most = max(most, size)
    assert tokens == 1 or most > limit / 2
    if tokens != 1:
        assert max(map(len, batches)) > 1


def test_a_ctc_loss_has_an_encoding_for_every_row(data):
    task, model, criterion = build(
        data, "--criterion=label_smoothed_cross_entropy_with_ctc", "--ctc-weight=0.3"
    )
    model.eval()
    sample = batch_of(task, utterances=3, multiway=True)
    once, each = (
        criterion(model, {**one, "target_lengths": sample["target_lengths"]})[2]
        for one in (sample, every_row(sample))
    )
    assert once["ctc_loss"] > 0
    assert once["ctc_loss"] == pytest.approx(each["ctc_loss"], rel=1e-5)
    assert once["loss"] == pytest.approx(each["loss"], rel=1e-5)
