"""fairseq's Conformer, split by what is spoken: every attention, feed-forward and convolution."""

import functools
import importlib.util
import re

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.leaves.batch_norm import GroupedBatchNorm
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state, unit_sizes_in_state
from fairseq_gist.surgery.units import count_parameters, find_units, no_units, select_units
from tests.e2e.conftest import SMALL_MODEL, assert_same_tensors
from tests.e2e.helpers import (
    batch_of,
    build,
    differentiate_at_random,
    random_plan,
    rows_of,
    translate,
)
from tests.e2e.test_checkpoints import fairseq
from tests.e2e.test_gradients import _recorded, compare_with_oracle
from tests.e2e.test_low_rank import disturbed, logits, low_rank_plan
from tests.e2e.test_source_side import GENERATE, KEY, UNTAGGED, same_hypotheses

CONFORMER = ["--arch=gist_s2t_conformer", *SMALL_MODEL[1:], "--depthwise-conv-kernel-size=7"]
ATTENTION = {
    "fairseq": [],
    "espnet abs": ["--attn-type=espnet"],
    "espnet rel_pos": ["--attn-type=espnet", "--pos-enc-type=rel_pos"],
    "espnet rope": ["--attn-type=espnet", "--pos-enc-type=rope"],
}
LAYERS = r"encoder\.conformer_layers\..*"
ENCODER = r"encoder\..*"
EVERY = r"(en|de)coder\.(?!embed_tokens|output_projection).*"
LAYER_0 = "encoder.conformer_layers.0."


@pytest.fixture(params=ATTENTION)
def parts(spoken, request):
    extra = ATTENTION[request.param]
    task, model, criterion = build(spoken, KEY, UNTAGGED, *extra, model=CONFORMER)
    return task, model.eval(), criterion, batch_of(task, utterances=24)


def kinds(model):
    prefix = re.escape(LAYER_0)
    return [re.sub(prefix, "", name) for name in find_units(model) if name.startswith(LAYER_0)]


def test_both_feed_forward_blocks_attention_and_convolution_are_units(parts):
    _, model, _, _ = parts
    found = kinds(model)
    expected = [f"{block}.{leaf}" for block in ("ffn1", "ffn2") for leaf in
                ("layer_norm", "w_1", "w_2")]  # fmt: skip
    expected += [
        f"conv_module.{leaf}"
        for leaf in ("layer_norm", "pointwise_conv1", "depthwise_conv", "batch_norm",
                     "pointwise_conv2")
    ]  # fmt: skip
    expected += ["self_attn_layer_norm", "final_layer_norm"]
    attention = {kind for kind in found if kind.startswith("self_attn.")}
    assert set(found) == {*expected, *attention}
    if hasattr(model.encoder.conformer_layers[0].self_attn, "linear_q"):
        expected = {"linear_q", "linear_k", "linear_v", "linear_out"}
    else:
        expected = {"q_proj", "k_proj", "v_proj", "out_proj"}
    if hasattr(model.encoder.conformer_layers[0].self_attn, "linear_pos"):
        expected.add("linear_pos")
    assert attention == {f"self_attn.{name}" for name in expected}
    assert "encoder.linear" in find_units(model)
    assert "encoder.subsample.conv_layers.1" in find_units(model)


def test_rows_are_where_every_unit_says(parts):
    _, model, _, sample = parts
    check_rows(model, sample)


@pytest.mark.skipif(
    importlib.util.find_spec("fairseq.models.speech_to_text.modules") is None,
    reason="fairseq 0.12.2 has convolutions over time alone",
)
def test_two_dimensional_convolutions_stay_shared(spoken):
    option = "--conv-version=convtransformer"
    task, model, criterion = build(spoken, KEY, UNTAGGED, option, model=CONFORMER)
    sample = batch_of(task, utterances=24)
    check_rows(model.eval(), sample)
    assert list(no_units(model)) == ["encoder.subsample.conv.0", "encoder.subsample.conv.2"]
    with pytest.raises(OptionError, match="it is a Conv2d, and those that can be are "):
        select_units(find_units(model), r".*subsample\.conv\..*", no_units(model))
    differentiate_at_random(model, task.languages, pattern=ENCODER)
    assert isinstance(model.encoder.subsample.out, GroupedModule)
    worst = compare_with_oracle(task, model, criterion, sample, EVERY)
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5


def check_rows(model, sample):
    """See by hooks that 24 rows are a dimension of their own in what every module gets."""
    seen, own = {}, model.architecture

    def note(name, module, inputs):
        seen.setdefault(name, inputs[0].shape)

    for name in find_units(model):
        model.get_submodule(name).register_forward_pre_hook(functools.partial(note, name))
    model(**sample["net_input"])
    in_encoder = [name for name in seen if name.startswith("encoder.")]
    assert set(in_encoder) == {name for name in find_units(model) if name.startswith("encoder.")}
    for name in in_encoder:
        expected = 1 if own.has_common_input(name) else 24
        assert seen[name][own.batch_dim(name)] == expected, (name, seen[name])
        assert list(seen[name]).count(24) == (0 if own.has_common_input(name) else 1), name


@pytest.mark.parametrize("training", [False, True], ids=["eval", "training"])
def test_a_split_leaves_the_function(parts, training):
    """In training too, where the batch norm has the statistics of all rows; dropout on."""
    task, model, _, sample = parts
    model.train(training)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    before = model(**sample["net_input"])[0]
    model.load_state_dict(state)
    running = {key: value.clone() for key, value in model.state_dict().items()}
    plan = random_plan(model, task.languages, pattern=ENCODER)
    lineage = apply_plan(model, plan, model.routing)
    assert lineage
    torch.manual_seed(3)
    after = model(**sample["net_input"])[0]
    difference = (before - after).abs().max().item()
    print(f"logits before and after the split differ by {difference}")  # noqa: T201
    # matrix products of few rows, and convolutions of one, may round differently
    assert difference < 2e-5
    norms = [m for m in model.modules() if isinstance(m, GroupedBatchNorm)]
    assert norms
    for norm in norms:
        for copy in norm.copies:
            moved = (copy.running_mean - running[f"{norm.path}.running_mean"]).abs().max()
            assert (moved > 0) == training
            assert torch.equal(copy.running_mean, norm.copies[0].running_mean)
            assert torch.equal(copy.running_var, norm.copies[0].running_var)
            assert copy.num_batches_tracked == int(training)


def test_a_split_of_one_language_leaves_every_bit(parts):
    """A batch of one language runs one copy of everything, on the same rows as before."""
    task, model, _, sample = parts
    own = rows_of(sample, (sample["net_input"]["lang_ids"] == 0).nonzero().flatten())["net_input"]
    own["lang_ids"] = torch.zeros_like(own["lang_ids"])
    before = model(**own)[0]
    apply_plan(model, random_plan(model, task.languages, pattern=EVERY), model.routing)
    difference = (model(**own)[0] - before).abs().max().item()
    assert difference == 0.0, f"logits differ by {difference}"


@pytest.mark.parametrize("is_split", [False, True], ids=["shared", "split at random"])
def test_recorded_gradients_equal_those_of_the_split_batch(parts, is_split):
    task, model, criterion, sample = parts
    if is_split:
        differentiate_at_random(model, task.languages, pattern=EVERY)
    worst = compare_with_oracle(task, model, criterion, sample, EVERY)
    print(f"largest relative difference: {worst}")  # noqa: T201
    assert worst < 1e-5, f"largest relative difference {worst}"


def test_low_rank_differences_leave_the_function_and_their_gradients_are_known(parts):
    task, model, criterion, sample = parts
    before = logits(model, sample)
    apply_plan(model, low_rank_plan(model, task.languages, EVERY), model.routing)
    difference = (logits(model, sample) - before).abs().max().item()
    assert difference < 1e-5, f"logits differ by {difference}"
    worst = compare_with_oracle(task, disturbed(model), criterion, sample, EVERY)
    assert worst < 1e-5, f"largest relative difference {worst}"


def test_in_training_the_languages_gradients_add_up_to_the_batchs(parts):
    """Rows see each other through the batch norm's statistics, but no gradient is lost."""
    task, model, criterion, sample = parts
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) or hasattr(module, "dropout_module"):
            module.eval()
    model.encoder.train()
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if type(module).__name__ == "FairseqDropout" or hasattr(module, "attn"):
            module.p = 0.0
        if type(module).__name__ == "MultiheadAttention":
            module.dropout_module.p = 0.0
    chosen = select_units(find_units(model), ENCODER)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.zero_grad()
    criterion(model, sample)[0].backward()
    plain = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    after = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    recorded, ordinary = _recorded(task, model, criterion, sample, chosen)
    assert_same_tensors(dict(model.state_dict()), after)  # running statistics moved alike
    largest = 0.0
    for name, unit in chosen.items():
        leaf = model.get_submodule(unit.paths[0])
        names = [part for part, _ in leaf.named_parameters(recurse=False)]
        for gradients in (ordinary, plain):
            total = torch.cat([gradients[f"{name}.{part}"].flatten() for part in names])
            error = (recorded[name].sum(0) - total).norm() / total.norm().clamp(min=1e-9)
            largest = max(largest, error.item())
    print(f"largest relative difference of a sum: {largest}")  # noqa: T201
    assert largest < 1e-4


def test_a_mixed_batch_gives_what_one_language_at_a_time_gives(parts):
    task, model, _, sample = parts
    differentiate_at_random(model, task.languages, pattern=EVERY).eval()
    mixed = translate(task, model, sample, 0)
    ids = sample["net_input"]["lang_ids"]
    largest = 0.0
    for language in range(3):
        rows = (ids == language).nonzero().flatten()
        for row, own in zip(rows.tolist(), translate(task, model, rows_of(sample, rows), 0)):
            assert [tokens for tokens, _ in own] == [tokens for tokens, _ in mixed[row]]
            largest = max(largest, *(abs(a[1] - b[1]) for a, b in zip(own, mixed[row])))
    print(f"largest difference of scores: {largest}")  # noqa: T201
    assert largest < 2e-6


def test_counts_of_a_split_model_are_of_parameters_alone(parts):
    task, model, _, _ = parts
    shared = count_parameters(model)
    assert parameters_in_state(model.state_dict()) == shared
    sizes = {name: unit.parameters for name, unit in find_units(model).items()}
    plan = random_plan(model, task.languages, pattern=ENCODER)
    apply_plan(model, plan, model.routing)
    state = model.state_dict()
    expected = shared + sum((len(groups) - 1) * sizes[u] for u, groups in plan.units.items())
    assert parameters_in_state(state) == count_parameters(model) == expected
    assert unit_sizes_in_state(state, plan) == {unit: sizes[unit] for unit in plan.units}


def test_what_can_not_be_split_is_named(spoken):
    task, model, _ = build(spoken, KEY, UNTAGGED, *ATTENTION["espnet rel_pos"], model=CONFORMER)
    refused = no_units(model)
    name = f"{LAYER_0}self_attn.pos_bias_u"
    assert sorted(one for one in refused if one.startswith(LAYER_0)) == [
        name, f"{LAYER_0}self_attn.pos_bias_v"
    ]  # fmt: skip
    with pytest.raises(OptionError, match=r"pos_bias_u' can't be split: it is a parameter of Rel"):
        select_units(find_units(model), r".*pos_bias_.", refused)
    plan = SharingPlan(task.languages, {name: [[one] for one in task.languages]})
    with pytest.raises(PlanError, match=r"pos_bias_u', which can't be split: it is a parameter"):
        apply_plan(model, plan, model.routing)
    with pytest.raises(SystemExit, match="only the attention of --attn-type espnet takes relative"):
        build(spoken, KEY, UNTAGGED, "--pos-enc-type=rel_pos", model=CONFORMER)


def test_adapters_stand_behind_every_layer(spoken):
    task, model, _ = build(spoken, KEY, UNTAGGED, "--adapter-dim=8", model=CONFORMER)
    names = [name for name in find_units(model) if ".adapter." in name and name.startswith("enc")]
    assert len(names) == 6
    sample = batch_of(task, utterances=24)
    assert isinstance(model.encoder.conformer_layers[0].adapter.down, GroupedModule)
    worst = compare_with_oracle(task, model.eval(), build(spoken, KEY, UNTAGGED)[2], sample, EVERY)
    assert worst < 1e-5


@pytest.mark.slow
def test_an_encoder_of_recognition_is_taken_over(train, spoken_corpus, tmp_path):
    """A stock Conformer's encoder, and not a split one."""
    data = tmp_path / "asr"
    command = ["prepare", str(spoken_corpus), "--target=en", "--vocab-size=100", "--workers=1"]
    assert gist([*command, "--asr", "--asr-vocab-size=150", "--out", str(data)]) == 0
    # the stock model of fairseq 0.12.2 takes a kernel size for a text
    small = [option for option in CONFORMER if "kernel" not in option]
    stock = [option.replace("gist_", "") for option in small]
    recogniser = train(
        tmp_path / "recogniser", str(data), "--task=speech_to_text", "--max-update=1", UNTAGGED,
        "--criterion=label_smoothed_cross_entropy", "--required-batch-size-multiple=1",
        model=stock, replace_data=True,
        recipe_changes={"--config-yaml": "config_asr.yaml", "--train-subset": "train_asr",
                        "--valid-subset": "dev_asr"},
    )  # fmt: skip
    option = f"--load-pretrained-encoder-from={recogniser.checkpoint}"
    _, model, _ = build(data, KEY, UNTAGGED, option, model=small)
    state = recogniser.load()["model"]
    own = {key: value for key, value in model.state_dict().items() if key.startswith("encoder.")}
    assert_same_tensors(own, {key: state[key] for key in own})


def test_utterances_are_encoded_once_as_far_as_languages_share(data):
    """Eight translations of an utterance, below and above modules that tell them apart."""
    extra = ["--attn-type=espnet", "--pos-enc-type=rel_pos"]
    for pattern in (r"encoder\.conformer_layers\.1\..*", ENCODER):
        task, model, criterion = build(data, *extra, model=CONFORMER)
        once = batch_of(task, utterances=3, multiway=True)
        plain = batch_of(task, utterances=3)
        order = [plain["id"].tolist().index(row) for row in once["id"].tolist()]
        differentiate_at_random(model, task.languages, pattern=pattern).eval()
        one, other = model(**once["net_input"])[0], model(**plain["net_input"])[0][order]
        difference = (one - other).abs().max().item()
        print(f"{pattern}: logits differ by {difference}")  # noqa: T201
        assert difference < 1e-5
        gradients = []
        for sample in (once, plain):
            model.zero_grad()
            criterion(model, sample)[0].backward()
            gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
        largest = max(gradient.abs().max().item() for gradient in gradients[1].values())
        for name, gradient in gradients[1].items():
            assert (gradient - gradients[0][name]).abs().max() <= 1e-5 * largest, name


# ------------------------------------------------------------------------------------- training
DIFFERENTIATION = [
    f"--units={LAYERS}",
    "--differentiate-at=10",
    "--gradient-window=8",
    "--gradient-chunks=4",
    "--size-budget=1.5",
    "--max-tokens=1500",
    *ATTENTION["espnet rel_pos"],
]


@pytest.fixture(scope="module")
def into_english(train, spoken):
    def run(folder, *extra):
        arguments = [str(spoken), KEY, UNTAGGED, *DIFFERENTIATION, *extra]
        return train(folder, *arguments, model=CONFORMER, replace_data=True)

    return run


@pytest.fixture(scope="module")
def split(into_english, tmp_path_factory):
    """A run that split its Conformer by source language after 10 of 12 updates."""
    return into_english(tmp_path_factory.mktemp("conformer"), "--max-update=12")


def test_training_splits_convolutions_and_feed_forward_blocks(split):
    plan = plan_in_state(split.load()["model"])
    found = {unit.split(".", 3)[3] for unit, groups in plan.units.items() if len(groups) > 1}
    assert {kind.split(".")[0] for kind in found} >= {"conv_module", "ffn1", "ffn2", "self_attn"}


def test_the_split_leaves_the_next_loss(into_english, split, tmp_path):
    shared = into_english(tmp_path, "--max-update=12", "--differentiate-by=shared")
    assert shared.steps[:10] == split.steps[:10]
    difference = abs(shared.steps[10].loss - split.steps[10].loss)
    print(f"loss of the next batch: {split.steps[10].loss}, difference {difference}")  # noqa: T201
    assert difference <= 2e-6 * split.steps[10].loss
    assert shared.steps[11].loss != split.steps[11].loss


@pytest.mark.parametrize("stop", [6, 11], ids=["inside the window", "after the split"])
def test_resumed_equals_uninterrupted(into_english, split, tmp_path, stop):
    first = into_english(tmp_path, f"--max-update={stop}")
    second = into_english(tmp_path, "--max-update=12")
    assert first.steps + second.steps == split.steps
    resumed, whole = second.load(), split.load()
    assert_same_tensors(resumed["model"], whole["model"])
    ours, theirs = (one["last_optimizer_state"]["state"] for one in (resumed, whole))
    for parameter, state in ours.items():
        assert_same_tensors(state, theirs[parameter])


@pytest.mark.slow
def test_exported_gives_the_hypotheses_of_the_differentiated(split, spoken, tmp_path, repo_root):
    exported = tmp_path / "ru.pt"
    command = ["export", str(split.checkpoint), "--language", "ru"]
    assert gist([*command, "-o", str(exported)]) == 0
    common = [spoken, *GENERATE, "--gen-subset=tst-COMMON_ru"]
    ours = fairseq(
        "generate", *common, "--task=gist_speech_to_text", f"--path={split.checkpoint}",
        f"--results-path={tmp_path / 'ours'}", plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    stock = fairseq(
        "generate", *common, "--task=speech_to_text", f"--path={exported}",
        f"--results-path={tmp_path / 'stock'}",
    )  # fmt: skip
    assert ours.returncode == 0, ours.stderr[-2000:]
    assert stock.returncode == 0, stock.stderr[-2000:]
    largest = same_hypotheses(tmp_path / "ours", tmp_path / "stock", 8)
    print(f"largest difference of scores: {largest}")  # noqa: T201
    assert largest < 1e-5


@pytest.mark.slow
def test_the_commands_know_conformers(split, spoken, tmp_path, capsys):
    statistics, plan, out, average = (
        str(tmp_path / name) for name in ("s.npz", "plan.json", "split.pt", "average.pt")
    )
    record = ["record", str(split.checkpoint), str(spoken), "--cpu", "--gradient-chunks=4"]
    assert gist([*record, f"--units={LAYERS}", "-o", statistics]) == 0, capsys.readouterr().err
    assert len(GradientStatistics.load(statistics).units) == len(
        [unit for unit in plan_in_state(split.load()["model"]).units if unit.startswith("enc")]
    )
    count = ["plan", "random", "--arch=s2t_conformer", "--dict-size=100", "--languages=de,es,ru"]
    assert gist([*count, f"--units={LAYERS}", "--size-budget=1.5", "-o", plan]) == 0
    source = ["plan", "random", "--checkpoint", str(split.checkpoint), "--size-budget=2"]
    assert gist([*source, f"--units={LAYERS}", "-o", plan]) == 0, capsys.readouterr().err
    assert gist(["apply", str(split.checkpoint), plan, "-o", out]) == 0, capsys.readouterr().err
    assert gist(["show", out]) == 0
    assert "ffn2.w_2" in capsys.readouterr().out
    path = str(split.checkpoint)
    assert gist(["average", path, path, "-o", average]) == 0
