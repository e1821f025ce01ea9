"""Adapters, one for each language, from the start of fine-tuning to translation."""

import json

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from fairseq_gist.host.checkpoints import read_checkpoint
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters, find_units, select_units
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, differentiate_at_random, disturb_copies
from tests.e2e.test_checkpoints import GENERATE, fairseq, hypotheses

ADAPTERS = ["--adapter-dim=8"]
OF_ONE = 4 * (2 * 32 + 32 * 8 + 8 + 8 * 32 + 32)
"""Parameters of the four adapters of one language: norm, down, up."""
LANGUAGES = ["de", "es", "fr", "it", "nl", "pt", "ro", "ru"]
FAMILIES = [["de", "nl"], ["es", "fr", "it", "pt", "ro"], ["ru"]]


@pytest.fixture(scope="module")
def shared(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("shared"), "--max-update=3")


@pytest.fixture(scope="module")
def finetune(train, shared):
    def run(folder, *options):
        start = f"--finetune-from-model={shared.checkpoint}"
        return train(folder, start, *ADAPTERS, "--train-only=adapters", *options)

    return run


@pytest.fixture(scope="module")
def finetuned(finetune, tmp_path_factory):
    return finetune(tmp_path_factory.mktemp("finetuned"), "--max-update=6")


def output(model, sample):
    model.eval()
    with torch.no_grad():
        return model(**sample["net_input"])[0]


def families(model):
    units = {name: [LANGUAGES] for name in select_units(find_units(model))}
    adapters = {name: FAMILIES for name in find_units(model) if ".adapter." in name}
    return SharingPlan(LANGUAGES, {**units, **adapters})


@pytest.mark.parametrize("state_of", ["a shared model", "a differentiated one"])
def test_fresh_adapters_change_nothing(data, state_of):
    task, plain, _ = build(data)
    if state_of == "a differentiated one":
        differentiate_at_random(plain, task.languages)
    _, adapted, _ = build(data, *ADAPTERS)
    adapted.load_state_dict(dict(plain.state_dict()))
    sample = batch_of(task, utterances=3)
    difference = (output(plain, sample) - output(adapted, sample)).abs().max().item()
    assert difference == 0.0, f"outputs differ by {difference}"
    stock = [key for key in adapted.state_dict() if ".adapter." not in key and key != "gist_plan"]
    assert stock == [key for key in plain.state_dict() if key != "gist_plan"]
    assert count_parameters(adapted) == count_parameters(plain) + 8 * OF_ONE


def test_units_of_adapters_are_each_languages_own_and_no_default_units(data):
    _, plain, _ = build(data)
    task, adapted, _ = build(data, *ADAPTERS)
    default = list(select_units(find_units(plain)))
    assert list(select_units(find_units(adapted))) == default
    plan = plan_of(adapted)
    split = [name for name, groups in plan.units.items() if len(groups) == len(task.languages)]
    assert "encoder.transformer_layers.0.adapter.down" in split
    assert "decoder.layers.1.adapter.layer_norm" in split
    assert len(split) == 4 * 3
    assert {name for name, groups in plan.units.items() if len(groups) == 1} == set(default)


def test_a_model_of_one_language_has_one_plain_adapter(data):
    _, plain, _ = build(data, "--languages=de")
    _, adapted, _ = build(data, "--languages=de", *ADAPTERS)
    assert plan_of(adapted) is None
    assert count_parameters(adapted) == count_parameters(plain) + OF_ONE
    adapted.load_state_dict(dict(plain.state_dict()))


def test_finetuning_changes_adapters_only(shared, finetuned):
    before, after = shared.load()["model"], finetuned.load()["model"]
    stock = {key: tensor for key, tensor in after.items() if key in before}
    assert_same_tensors(dict(before), stock)
    ups = [tensor for key, tensor in after.items() if "layers.1.adapter.up.copies" in key]
    assert len({tuple(tensor.flatten().tolist()) for tensor in ups}) == len(ups) == 2 * 2 * 8


def test_counts_of_files_and_models(shared, finetuned):
    before = parameters_in_state(shared.load()["model"])
    assert parameters_in_state(finetuned.load()["model"]) == before + 8 * OF_ONE


def test_resumed_equals_uninterrupted(finetune, finetuned, tmp_path):
    first = finetune(tmp_path, "--max-update=4")
    second = finetune(tmp_path, "--max-update=6")
    assert first.steps + second.steps == finetuned.steps
    resumed, whole = second.load(), finetuned.load()
    assert_same_tensors(resumed["model"], whole["model"])
    ours, theirs = (one["last_optimizer_state"]["state"] for one in (resumed, whole))
    assert len(ours) == len(theirs) == 4 * 6 * 8
    for parameter, state in ours.items():
        assert_same_tensors(state, theirs[parameter])


def test_averaging_and_translating(finetuned, data, tmp_path, repo_root):
    average = tmp_path / "average.pt"
    path = str(finetuned.checkpoint)
    assert gist(["average", path, path, "-o", str(average)]) == 0
    assert_same_tensors(read_checkpoint(str(average))["model"], dict(finetuned.load()["model"]))
    done = fairseq(
        "generate", data, *GENERATE, "--gen-subset=tst-COMMON", "--task=gist_speech_to_text",
        f"--path={average}", f"--results-path={tmp_path}", plugin=repo_root / "fairseq_gist",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(hypotheses(tmp_path)) == 64


def test_export_says_that_stock_fairseq_has_no_adapters(finetuned, tmp_path, capsys, caplog):
    out = tmp_path / "de.pt"
    assert gist(["export", str(finetuned.checkpoint), "--language", "de", "-o", str(out)]) == 1
    assert "the checkpoint has adapters, which a stock model can't have; translate with it as" in (
        capsys.readouterr().err + caplog.text
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the checkpoint has adapters and the model none: add --adapter-dim 8"),
        (
            ["--adapter-dim=9"],
            "the checkpoint's adapters have 8 channels in between, the model's 9",
        ),
        (["--adapter-dim=-1"], "--adapter-dim: expected 0 or more channels, found -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_model_that_does_not_fit(train, finetuned, tmp_path, options, message):
    with pytest.raises(SystemExit) as error:
        train(tmp_path, f"--finetune-from-model={finetuned.checkpoint}", "--max-update=1", *options)
    assert message in str(error.value)
    assert not list(tmp_path.glob("*.pt"))


def test_a_pretrained_encoder_needs_no_adapters(data, shared):
    _, model, _ = build(data, *ADAPTERS, f"--load-pretrained-encoder-from={shared.checkpoint}")
    saved = shared.load()["model"]
    loaded = model.state_dict()
    own = [
        key for key in saved if key.startswith("encoder.") and not model.architecture.is_unused(key)
    ]
    assert_same_tensors({key: saved[key] for key in own}, {key: loaded[key] for key in own})


@pytest.mark.parametrize("options", [[], ADAPTERS])
def test_a_pretrained_encoder_is_none_that_is_split(data, finetuned, options):
    """Whether the model has adapters itself or not."""
    with pytest.raises(
        SystemExit, match=r"adapter.* of the encoder there is split among languages"
    ):
        build(data, *options, f"--load-pretrained-encoder-from={finetuned.checkpoint}")


def test_a_plan_decides_on_adapters_that_it_names(data, tmp_path):
    task, model, _ = build(data, "--adapter-dim=8")
    plan = tmp_path / "plan.json"
    families(model).save(plan)
    _, grouped, _ = build(data, *ADAPTERS, f"--sharing-plan={plan}")
    assert plan_of(grouped) == families(model)
    # what a checkpoint says about its adapters holds where nobody asks for anything else
    disturb_copies(grouped)
    model.load_state_dict(dict(grouped.state_dict()))
    assert plan_of(model) == plan_of(grouped)
    sample = batch_of(task, utterances=2)
    assert (output(grouped, sample) - output(model, sample)).abs().max().item() == 0.0


def test_a_plan_without_adapters_is_completed(data, tmp_path, finetuned):
    _, model, _ = build(data)
    units = list(select_units(find_units(model)))
    plan = tmp_path / "plan.json"
    rest = {name: [LANGUAGES] for name in units[1:]}
    two = SharingPlan(LANGUAGES, {units[0]: FAMILIES, **rest})
    two.save(plan)
    _, adapted, _ = build(data, *ADAPTERS, f"--sharing-plan={plan}")
    assert plan_of(adapted).units[units[0]] == two.units[units[0]]
    assert len(plan_of(adapted).units["decoder.layers.0.adapter.up"]) == 8

    applied = tmp_path / "applied.pt"
    assert gist(["apply", str(finetuned.checkpoint), str(plan), "-o", str(applied)]) == 0
    assert plan_in_state(read_checkpoint(str(applied))["model"]) == plan_of(adapted)


def test_adapters_stay_apart_in_a_differentiation(train, shared, tmp_path, data):
    run = train(
        tmp_path, f"--finetune-from-model={shared.checkpoint}", *ADAPTERS, "--max-update=7",
        "--differentiate-at=4", "--gradient-window=4", "--gradient-chunks=4", "--size-budget=2.0",
    )  # fmt: skip
    plan = plan_in_state(run.load()["model"])
    sizes = [len(groups) for name, groups in plan.units.items() if ".adapter." in name]
    assert sizes == [8] * 12
    assert any(len(groups) > 1 for name, groups in plan.units.items() if ".adapter." not in name)
    assert plan.parameters == parameters_in_state(run.load()["model"])
    _, model, _ = build(data, *ADAPTERS)
    model.load_state_dict(dict(run.load()["model"]))
    assert plan_of(model) == plan


def test_a_moment_that_has_passed_is_told(train, finetuned, tmp_path):
    with pytest.raises(SystemExit, match="was never split; name a later update"):
        train(
            tmp_path, f"--restore-file={finetuned.checkpoint}", *ADAPTERS, "--max-update=9",
            "--train-only=adapters", r"--units=.+\.adapter\..+", "--differentiate-at=5",
            "--gradient-window=4", "--gradient-chunks=4",
        )  # fmt: skip


def test_show_prints_adapters(finetuned, capsys):
    assert gist(["show", str(finetuned.checkpoint), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["units"]["encoder.transformer_layers.1.adapter.up"] == [
        [language] for language in plan["languages"]
    ]
