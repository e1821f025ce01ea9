"""The model itself: its size, its parts, and the function it is."""

import sys

import pytest
import torch
from fairseq.data import Dictionary

from fairseq_gist.architectures.seamless_m4t.model import GistSeamlessM4T
from fairseq_gist.architectures.seamless_m4t.names import (
    from_transformers,
    state_for_transformers,
    to_transformers,
)
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.policies import decide, find_policies
from fairseq_gist.policies.heuristic import Heuristic
from fairseq_gist.policies.situation import Situation
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan, check_plan
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.units import (
    count_parameters,
    find_units,
    no_units,
    select_units,
)
from tests.e2e.helpers import batch_of, build
from tests.e2e.seamless.tiny import medium_configuration, write_folder
from tests.e2e.test_gradients import compare_with_oracle
from tests.e2e.test_low_rank import disturbed, logits, low_rank_plan

if sys.version_info < (3, 11):
    pytest.importorskip("transformers")

LANGUAGES = ["aeb", "bem", "est", "gle"]


@pytest.fixture(scope="module")
def medium():
    """The medium model of both worlds, without weights: (transformers', ours)."""
    from transformers import SeamlessM4TForSpeechToText

    with torch.device("meta"):
        theirs = SeamlessM4TForSpeechToText(medium_configuration())
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    return shapes, GistSeamlessM4T.around(theirs, Dictionary(), LANGUAGES)


def test_the_medium_model_has_the_published_numbers_of_parameters(medium):
    _, model = medium
    assert count_parameters(model) == 821_351_744
    assert count_parameters(model.encoder) == 357_434_688
    assert count_parameters(model.encoder.layers[11].ffn2) == 8_393_728


def test_every_name_and_shape_of_transformers_is_there(medium):
    shapes, model = medium
    ours = model.state_dict()
    assert {name: x.shape for name, x in state_for_transformers(ours).items()} == shapes
    assert all(from_transformers(to_transformers(name)) == name for name in ours)
    assert "encoder.layers.11.ffn2.output_dense.weight" in ours


def test_every_projection_convolution_and_norm_is_a_unit(medium):
    _, model = medium
    units = find_units(model)
    layer = "encoder.layers.11."
    kinds = {name[len(layer) :] for name in units if name.startswith(layer)}
    assert kinds == {
        *(f"{block}.{leaf}" for block in ("ffn1", "ffn2")
          for leaf in ("intermediate_dense", "output_dense")),
        *(f"self_attn.linear_{leaf}" for leaf in ("q", "k", "v", "out", "pos")),
        *(f"conv_module.{leaf}" for leaf in ("layer_norm", "pointwise_conv1", "depthwise_conv",
                                             "batch_norm", "pointwise_conv2")),
        *(f"{norm}_layer_norm" for norm in ("ffn1", "self_attn", "ffn2", "final")),
    }  # fmt: skip
    block = [units[f"{layer}ffn2.{leaf}"] for leaf in ("intermediate_dense", "output_dense")]
    assert sum(unit.parameters for unit in block) == 8_393_728
    embedding = units["decoder.embed_tokens"]
    assert embedding.paths == ("decoder.embed_tokens", "decoder.output_projection")
    in_units = sum(unit.parameters for unit in units.values())
    refused = dict(no_units(model))
    assert set(refused) == {
        f"encoder.layers.{number}.self_attn.pos_bias_{kind}"
        for number in range(12) for kind in "uv"
    }  # fmt: skip
    biases = sum(model.get_parameter(name).numel() for name in refused)
    assert in_units + biases == count_parameters(model)


def test_a_parameter_of_attention_itself_is_refused_by_name(medium):
    _, model = medium
    name = "encoder.layers.3.self_attn.pos_bias_u"
    with pytest.raises(OptionError, match=f"'{name}' can't be split: it is a parameter of Seaml"):
        select_units(find_units(model), r"encoder\.layers\.3\..*pos_bias_u", no_units(model))
    units = {unit: [LANGUAGES] for unit in select_units(find_units(model))}
    with pytest.raises(PlanError, match=f"the plan names '{name}', which can't be split"):
        apply_plan(model, SharingPlan(LANGUAGES, {**units, name: [LANGUAGES]}), model.routing)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_logits_are_those_of_transformers_alone(seamless_data, folder, model_options, training):
    from transformers import SeamlessM4TForSpeechToText

    task, ours, _ = build(seamless_data, "--language-key=src", model=model_options)
    net_input = batch_of(task, 12)["net_input"]
    theirs = SeamlessM4TForSpeechToText.from_pretrained(str(folder), local_files_only=True)
    features, lengths = net_input["src_tokens"], net_input["src_lengths"]
    mask = (torch.arange(features.size(1)) < lengths[:, None]).long()
    tokens = net_input["prev_output_tokens"]
    assert tokens[:, 0].eq(3).all()
    assert tokens[:, 1].eq(task.target_dictionary.index("<lang:eng>")).all()
    torch.manual_seed(1)
    expected = theirs.train(training)(
        input_features=features, attention_mask=mask, decoder_input_ids=tokens, use_cache=False
    ).logits
    torch.manual_seed(1)
    found = ours.train(training)(**net_input)[0]
    difference = (found - expected).abs().max().item()
    print(f"logits differ by {difference}")  # noqa: T201
    assert difference == 0.0
    assert expected.std() > 0.1


def test_the_split_of_ffn2_in_layer_11_leaves_the_function(seamless_data, tmp_path):
    deep = write_folder(tmp_path / "deep", is_sharp=False, speech_encoder_layers=12)
    options = ["--arch=gist_seamless_m4t", f"--seamless-path={deep}"]
    task, model, _ = build(seamless_data, "--language-key=src", model=options)
    sample = batch_of(task, 12)
    before = model.eval()(**sample["net_input"])[0]
    block = "encoder.layers.11.ffn2"
    first, second = f"{block}.intermediate_dense", f"{block}.output_dense"
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
    print(f"logits before and after the split differ by {difference}")  # noqa: T201
    assert 0 < difference <= 1e-6
    assert before.std() > 0.01


def test_low_rank_differences_leave_the_function_and_their_gradients_are_known(
    seamless_data, model_options
):
    task, model, criterion = build(seamless_data, "--language-key=src", model=model_options)
    sample, everywhere = batch_of(task, 12), r"(en|de)coder\.(?!embed_tokens).*"
    before = logits(model.eval(), sample)
    apply_plan(model, low_rank_plan(model, task.languages, everywhere), model.routing)
    difference = (logits(model, sample) - before).abs().max().item()
    assert difference == 0.0, f"logits differ by {difference}"
    worst = compare_with_oracle(task, disturbed(model), criterion, sample, everywhere)
    assert worst < 1e-5, f"largest relative difference {worst}"


def test_rows_come_first_everywhere(medium):
    _, model = medium
    assert {model.architecture.batch_dim(name) for name in find_units(model)} == {0}


HEURISTICS = [name for name, one in find_policies().items() if issubclass(one, Heuristic)]


@pytest.mark.parametrize("name", HEURISTICS)
def test_every_heuristic_knows_the_parts_of_the_decoder(medium, name):
    _, model = medium
    plan = decide(name, Situation(shape_of(model)))
    check_plan(plan, model, tuple(LANGUAGES))
    shared = {unit for unit, groups in plan.units.items() if len(groups) == 1}
    expected = {
        "cross-attention": "decoder.layers.3.cross_attention.q_proj",
        "feed-forward": "decoder.layers.3.ffn.fc2",
    }
    assert expected.get(name) in {None, *shared}


@pytest.mark.parametrize("part", ["lna-d", "lna-e", "lna-ed"])
def test_norms_and_attention_alone_can_be_trained(seamless_data, model_options, part):
    options = ["--language-key=src", f"--train-only={part}"]
    _, model, _ = build(seamless_data, *options, model=model_options)
    trained = {name for name, own in model.named_parameters() if own.requires_grad}
    assert ("decoder.layers.1.cross_attention.k_proj.weight" in trained) == ("d" in part[4:])
    assert ("encoder.layers.1.self_attn.linear_q.weight" in trained) == ("e" in part[4:])
    assert "decoder.layers.1.ffn.fc1.weight" not in trained


def test_language_embeddings_leave_the_function_and_their_gradients_are_known(
    seamless_data, model_options
):
    options = "--language-key=src", "--language-embedding=encoder,decoder"
    _, plain, _ = build(seamless_data, options[0], model=model_options)
    task, embedded, criterion = build(seamless_data, *options, model=model_options)
    embedded.load_state_dict(plain.state_dict(), strict=True)
    sample = batch_of(task, 12)
    difference = (logits(embedded.eval(), sample) - logits(plain.eval(), sample)).abs().max().item()
    assert difference == 0.0, f"logits differ by {difference}"
    worst = compare_with_oracle(task, embedded, criterion, sample, r".+\.language_embedding")
    assert worst < 1e-5, f"largest relative difference {worst}"
