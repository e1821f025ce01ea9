"""The model itself: its size, its parts, and the function it is."""

import sys

import pytest
import torch
from fairseq.data import Dictionary

from fairseq_gist.architectures import recognise
from fairseq_gist.architectures.whisper.model import GistWhisper
from fairseq_gist.architectures.whisper.names import (
    from_transformers,
    state_for_transformers,
    to_transformers,
)
from fairseq_gist.policies import decide, find_policies
from fairseq_gist.policies.heuristic import Heuristic
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan, check_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import count_parameters, find_units, no_units
from tests.e2e.helpers import batch_of
from tests.e2e.whisper.helpers import build_whisper, decoder_input, window_of

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

LANGUAGES = ["cs", "da", "it", "ru"]
POSITIONS = 1500 * 512
"""Numbers of base's sinusoids, which transformers counts for parameters."""


@pytest.fixture(scope="module")
def base():
    """The base model of both worlds, without weights: (transformers', ours)."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        d_model=512,
        encoder_layers=6,
        decoder_layers=6,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        encoder_ffn_dim=2048,
        decoder_ffn_dim=2048,
    )
    with torch.device("meta"):
        theirs = WhisperForConditionalGeneration(config)
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    return shapes, GistWhisper.around(theirs, Dictionary(), LANGUAGES)


def test_the_base_model_has_the_published_numbers_of_parameters(base):
    _, model = base
    assert count_parameters(model) + POSITIONS == 72_593_920
    assert count_parameters(model.encoder.layers[5].fc1) == 1_050_624


def test_every_name_and_shape_of_transformers_is_there(base):
    shapes, model = base
    ours = model.state_dict()
    assert {name: x.shape for name, x in state_for_transformers(ours).items()} == shapes
    assert all(from_transformers(to_transformers(name)) == name for name in ours)


def test_everything_that_is_trained_is_a_unit(base):
    _, model = base
    units = find_units(model)
    layer = "decoder.layers.5."
    kinds = {name[len(layer) :] for name in units if name.startswith(layer)}
    projections = ("k_proj", "v_proj", "q_proj", "out_proj")
    assert kinds == {
        *(f"{kind}.{one}" for kind in ("self_attn", "encoder_attn") for one in projections),
        *("fc1", "fc2", "self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"),
    }
    assert {"encoder.conv1", "encoder.conv2", "decoder.embed_positions"} <= set(units)
    embedding = units["decoder.embed_tokens"]
    assert embedding.paths == ("decoder.embed_tokens", "decoder.output_projection")
    assert not dict(no_units(model))
    assert sum(unit.parameters for unit in units.values()) == count_parameters(model)
    assert {model.architecture.batch_dim(name) for name in units} == {0}


def test_its_files_are_recognised_by_their_names(base):
    _, model = base
    assert recognise(find_units(model)).name == "whisper"
    assert recognise(["encoder.layers.3.fc1", "decoder.layers.3.fc1"]).name == "whisper"


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_logits_are_those_of_transformers_alone(whisper_data, folder, model_options, training):
    from transformers import WhisperForConditionalGeneration

    task, ours, _ = build_whisper(whisper_data, "--whisper-window=full", model=model_options)
    sample = batch_of(task, 12)
    theirs = WhisperForConditionalGeneration.from_pretrained(str(folder), local_files_only=True)
    tokens = decoder_input(sample, theirs.config.decoder_start_token_id)
    names = [task.target_dictionary[token] for token in tokens[0, :4]]
    assert names[0] == "<|startoftranscript|>"
    assert names[1] in {"<lang:de>", "<lang:es>", "<lang:ru>"}
    assert names[2:] == ["<|translate|>", "<|notimestamps|>"]
    torch.manual_seed(1)
    expected = theirs.train(training)(
        input_features=window_of(sample, 100), decoder_input_ids=tokens, use_cache=False
    ).logits
    torch.manual_seed(1)
    found = ours.train(training)(**sample["net_input"])[0]
    difference = (found - expected).abs().max().item()
    print(f"logits differ by {difference}")  # noqa: T201
    assert difference == 0.0
    assert expected.std() > 0.1


def test_a_short_window_does_not_hear_the_other_rows(whisper_data, model_options):
    """What becomes of an utterance is the same alone and beside longer ones."""
    options = ["--whisper-window=short", "--whisper-silence=0.1"]
    task, model, _ = build_whisper(whisper_data, *options, model=model_options)
    sample = batch_of(task, 12)
    net_input = sample["net_input"]
    whole = model.eval()(**net_input)[0]
    lengths = net_input["src_lengths"].tolist()
    assert len(set(lengths)) > 3
    worst = 0.0
    for row, length in enumerate(lengths):
        alone = {key: value[row : row + 1] for key, value in net_input.items()}
        alone["src_tokens"] = alone["src_tokens"][:, :length]
        worst = max(worst, (model(**alone)[0] - whole[row : row + 1]).abs().max().item())
    print(f"logits beside other rows and alone differ by {worst}")  # noqa: T201
    assert worst < 1e-4 * whole.abs().max().item()
    most = max(length - 1 + 10 for length in lengths)
    assert (
        model.encoder(**{k: v for k, v in net_input.items() if k != "prev_output_tokens"})[
            "encoder_out"
        ][0].size(1)
        == (most + 1) // 2
    )


def test_silence_to_the_end_of_the_window_is_the_full_window(whisper_data, model_options):
    outputs = []
    for extra in (["--whisper-window=full"], ["--whisper-silence=9"]):
        task, model, _ = build_whisper(whisper_data, *extra, model=model_options)
        outputs.append(model.eval()(**batch_of(task, 12)["net_input"])[0])
    full, silent = outputs
    assert (full - silent).abs().max() < 1e-4 * full.abs().max()


def test_the_division_of_a_block_leaves_the_function(whisper_data, model_options):
    task, model, _ = build_whisper(whisper_data, model=model_options)
    sample = batch_of(task, 12)
    before = model.eval()(**sample["net_input"])[0]
    first, second = "encoder.layers.1.fc1", "encoder.layers.1.fc2"
    division = Division(second, 24, tuple(range(0, 24, 2)))
    shared_first, shared_second, own_first, own_second = divided_units(first, division)
    everyone, groups = [task.languages], [["de", "ru"], ["es"]]
    plan = SharingPlan(
        task.languages,
        {shared_first: everyone, shared_second: everyone, own_first: groups, own_second: groups},
        {},
        {first: division},
    )
    apply_plan(model, plan, model.routing)
    after = model(**sample["net_input"])[0]
    difference = (before - after).abs().max().item()
    print(f"logits before and after the division differ by {difference}")  # noqa: T201
    assert 0 < difference <= 1e-5 * before.abs().max().item()


HEURISTICS = [name for name, one in find_policies().items() if issubclass(one, Heuristic)]


@pytest.mark.parametrize("name", HEURISTICS)
def test_every_heuristic_knows_the_parts_of_the_decoder(base, name):
    _, model = base
    plan = decide(name, Situation(shape_of(model)))
    check_plan(plan, model, tuple(LANGUAGES))
    shared = {unit for unit, groups in plan.units.items() if len(groups) == 1}
    expected = {
        "cross-attention": "decoder.layers.3.encoder_attn.q_proj",
        "feed-forward": "decoder.layers.3.fc2",
    }
    assert expected.get(name) in {None, *shared}


@pytest.mark.parametrize("part", ["lna-d", "lna-e", "lna-ed"])
def test_norms_and_attention_alone_can_be_trained(whisper_data, model_options, part):
    _, model, _ = build_whisper(whisper_data, f"--train-only={part}", model=model_options)
    trained = {name for name, own in model.named_parameters() if own.requires_grad}
    assert ("decoder.layers.1.encoder_attn.k_proj.weight" in trained) == ("d" in part[4:])
    assert ("encoder.layers.1.self_attn.q_proj.weight" in trained) == ("e" in part[4:])
    assert "decoder.layers.1.fc1.weight" not in trained
