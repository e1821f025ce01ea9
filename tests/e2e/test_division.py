"""Feed-forward blocks of which some hidden units are shared and some owned, in real training."""

import shutil

import pytest
import torch
from fairseq.sequence_generator import SequenceGenerator

from fairseq_gist.cli.main import main as gist
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters, find_units, select_units
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build

BLOCKS = ("encoder.transformer_layers.1", "decoder.layers.0")


def divided_plan(task, model):
    """Half of the hidden units of an encoder's and a decoder's block, each language its own."""
    languages = task.languages
    divisions = {
        f"{layer}.fc1": Division(f"{layer}.fc2", 64, tuple(range(1, 64, 2))) for layer in BLOCKS
    }
    units = {
        name: [languages]
        for name in select_units(find_units(model))
        if not name.startswith(tuple(divisions)) and name != "decoder.layers.0.fc2"
    }
    for first, division in divisions.items():
        shared_first, shared_second, own_first, own_second = divided_units(first, division)
        units.update({shared_first: [languages], shared_second: [languages]})
        units.update({part: [[one] for one in languages] for part in (own_first, own_second)})
    return SharingPlan(languages, units, {}, divisions)


@pytest.fixture(scope="module")
def start(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("start"), "--max-update=3").checkpoint


@pytest.fixture(scope="module")
def plan(data, tmp_path_factory):
    task, model, _ = build(data)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    divided_plan(task, model).save(path)
    return path


def test_the_first_loss_is_that_of_the_shared_model(train, tmp_path, start, plan):
    options = ["--max-update=1", f"--finetune-from-model={start}", "--activation-dropout=0"]
    shared = train(tmp_path / "shared", *options)
    divided = train(tmp_path / "divided", *options, f"--sharing-plan={plan}")
    one, other = shared.steps[0].loss, divided.steps[0].loss
    assert abs(one - other) <= 1e-6 * one, f"{one} against {other}"


def test_it_trains_resumes_translates_averages_and_exports(train, tmp_path, data, start, plan):
    options = [
        f"--finetune-from-model={start}", f"--sharing-plan={plan}", "--save-interval-updates=2"
    ]  # fmt: skip
    whole = train(tmp_path / "whole", "--max-update=4", *options)
    (tmp_path / "resumed").mkdir()
    shutil.copy(tmp_path / "whole" / "checkpoint_1_2.pt", tmp_path / "resumed/checkpoint_last.pt")
    resumed = train(tmp_path / "resumed", "--max-update=4", *options)
    assert resumed.steps == whole.steps[2:]
    state = whole.load()["model"]
    assert_same_tensors(state, resumed.load()["model"])
    assert plan_in_state(state) == SharingPlan.load(plan)

    task, model, _ = build(data)
    model.load_state_dict(state, strict=True)
    assert count_parameters(model) == parameters_in_state(state)
    sample = batch_of(task, utterances=3, subset="tst-COMMON")
    mixed = translated(task, model.eval(), sample)
    last = str(whole.checkpoint)
    assert gist(["average", str(tmp_path / "whole/checkpoint_1_2.pt"), last,
                 "-o", str(tmp_path / "average.pt")]) == 0  # fmt: skip
    assert gist(["show", last]) == 0
    for language in ("de", "ru"):
        target = tmp_path / f"{language}.pt"
        assert gist(["export", last, "--language", language, "-o", str(target)]) == 0
        exported = torch.load(target, **WHOLE_FILE)["model"]
        _, stock, _ = build(data)
        stock.load_state_dict(exported, strict=True)
        rows = (sample["net_input"]["lang_ids"] == task.languages.index(language)).nonzero()
        rows = rows.flatten()
        part = {
            "target": sample["target"][rows],
            "net_input": {key: value[rows] for key, value in sample["net_input"].items()},
        }
        alone = translated(task, stock.eval(), part)
        for row, (tokens, score) in zip(rows.tolist(), alone):
            assert tokens == mixed[row][0]
            assert abs(score - mixed[row][1]) < 1e-5


WHOLE_FILE = {"weights_only": False} if torch.__version__ >= "2" else {}


def translated(task, model, sample):
    generator = SequenceGenerator([model], task.target_dictionary, beam_size=3, max_len_b=10)
    prefix = sample["target"][:, :1]
    hypotheses = task.inference_step(generator, [model], sample, prefix_tokens=prefix)
    return [(row[0]["tokens"].tolist(), row[0]["score"].item()) for row in hypotheses]
