"""Low-rank differences in real training: what is kept, what is trained, what is merged."""

import shutil

import pytest
import torch

from fairseq_gist.architectures import recognise
from fairseq_gist.cli.main import main as gist
from fairseq_gist.nn.low_rank import Difference
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from fairseq_gist.recording.options import RecordingOptions
from fairseq_gist.recording.recorder import GradientRecorder
from fairseq_gist.recording.watching import recording
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.plan_buffer import plan_in_state
from fairseq_gist.surgery.shape import shape_of
from fairseq_gist.surgery.state import export_state, parameters_in_state
from fairseq_gist.surgery.units import count_parameters, find_units, select_units
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build, rows_of, translate
from tests.e2e.test_gradients import compare_with_oracle

LOW_RANK = ["--copies=low-rank", "--rank=4"]
EVERYWHERE = r"(en|de)coder\..*"


def low_rank_plan(model, languages, pattern=None, by="random", **options):
    own = {"size_budget": "1.15", "copies": "low-rank"} if by == "random" else {}
    situation = Situation(shape_of(model, languages), None, None, pattern)
    return decide(by, situation, rank=4, **own, **options)


def disturbed(model):
    """Give differences something to add."""
    torch.manual_seed(5)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, Difference):
                module.up.add_(0.1 * torch.randn_like(module.up))
    return model


@pytest.fixture
def parts(data):
    task, model, criterion = build(data)
    return task, model.eval(), criterion, batch_of(task, utterances=4)


def logits(model, sample):
    with torch.no_grad():
        return model(**sample["net_input"])[0]


@pytest.mark.parametrize("pattern", [None, EVERYWHERE], ids=["decoder", "everywhere"])
@pytest.mark.parametrize("by", ["random", "lora", "lora-per-language"])
@pytest.mark.parametrize("multiway", [False, True], ids=["pairs", "multiway"])
def test_the_function_stays(data, pattern, by, multiway):
    extra = ["--multiway-batches"] if multiway else []
    task, model, _ = build(data, *extra)
    sample = batch_of(task, utterances=4, multiway=multiway)
    before = logits(model.eval(), sample)
    plan = low_rank_plan(model, task.languages, pattern, by)
    apply_plan(model, plan, model.routing)
    difference = (logits(model, sample) - before).abs().max().item()
    # the encoder of a split layer goes another way than torch's fast path
    assert difference <= (1e-5 if pattern else 0.0), f"largest difference of logits {difference}"
    assert count_parameters(model) == plan.parameters == parameters_in_state(model.state_dict())


@pytest.mark.parametrize("by", ["random", "lora", "lora-per-language"])
def test_recorded_gradients_are_those_of_the_split_batch(parts, by):
    task, model, criterion, sample = parts
    apply_plan(model, low_rank_plan(model, task.languages, EVERYWHERE, by), model.routing)
    worst = compare_with_oracle(task, disturbed(model), criterion, sample, EVERYWHERE)
    assert worst < 1e-5, f"largest relative difference {worst}"


def test_gradients_of_multiway_batches_are_those_of_pairs(data):
    """Keys and values are projected once a source there; their differences, once a group."""
    found = []
    for multiway in (False, True):
        task, model, criterion = build(data, *(["--multiway-batches"] if multiway else []))
        apply_plan(model.eval(), low_rank_plan(model, task.languages), model.routing)
        disturbed(model)
        chosen = select_units(find_units(model))
        recorder = GradientRecorder(model, chosen, task.languages, RecordingOptions(1))
        recording(model, chosen.values(), model.routing)
        model.routing.sink = recorder
        sample = batch_of(task, 3, subset="multiway" if multiway else "dev", multiway=multiway)
        criterion(model, sample)[0].backward()
        model.routing.sink = None
        recorder.finish_update()
        found.append(recorder._sums[0])
    pairs, sources = found
    for unit, own in pairs.items():
        for one, other in zip(own, sources[unit]):
            error = (one - other).norm() / one.norm().clamp(min=1e-12)
            assert error < 1e-5, f"{unit}: relative difference {error}"


def test_a_mixed_batch_is_one_language_at_a_time(parts):
    task, model, _, sample = parts
    apply_plan(model, low_rank_plan(model, task.languages), model.routing)
    disturbed(model)
    mixed, ids = logits(model, sample), sample["net_input"]["lang_ids"]
    worst = 0.0
    for language in range(len(task.languages)):
        rows = (ids == language).nonzero().flatten()
        part = rows_of(sample, rows, task.target_dictionary.pad())
        alone = logits(model, part)[: len(rows)]
        worst = max(worst, (mixed[rows][:, : alone.size(1)] - alone).abs().max().item())
    assert worst < 1e-5, f"largest difference of logits {worst}"


def test_an_export_is_merged(parts, data):
    task, model, _, sample = parts
    before = logits(model, sample)
    plan = low_rank_plan(model, task.languages)
    apply_plan(model, plan, model.routing)
    mixed = logits(disturbed(model), sample)
    assert not torch.allclose(mixed, before, atol=1e-2)
    state, ids = model.state_dict(), sample["net_input"]["lang_ids"]
    worst = 0.0
    for index, language in enumerate(task.languages):
        _, stock, _ = build(data)
        stock.load_state_dict(export_state(state, language), strict=True)
        rows = (ids == index).nonzero().flatten()
        own = logits(stock.eval(), sample)[rows]
        worst = max(worst, (own - mixed[rows]).abs().max().item() / mixed.abs().max().item())
    assert worst < 1e-6, f"largest difference, relative to the largest logit, {worst}"


@pytest.fixture(scope="module")
def start(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("start"), "--max-update=3").checkpoint


@pytest.fixture(scope="module")
def plan_file(data, tmp_path_factory):
    task, model, _ = build(data)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    low_rank_plan(model, task.languages).save(path)
    return path


def test_copies_alone_are_trained_resumed_averaged_and_exported(
    train, tmp_path, data, start, plan_file
):
    options = [
        f"--finetune-from-model={start}", f"--sharing-plan={plan_file}", "--train-only=copies",
        "--save-interval-updates=2",
    ]  # fmt: skip
    whole = train(tmp_path / "whole", "--max-update=4", *options)
    (tmp_path / "resumed").mkdir()
    shutil.copy(tmp_path / "whole/checkpoint_1_2.pt", tmp_path / "resumed/checkpoint_last.pt")
    resumed = train(tmp_path / "resumed", "--max-update=4", *options)
    assert resumed.steps == whole.steps[2:]
    state = whole.load()["model"]
    assert_same_tensors(state, resumed.load()["model"])
    plan = plan_in_state(state)
    assert plan == SharingPlan.load(plan_file)

    first = torch.load(start, **WHOLE_FILE)["model"]
    is_parameter = recognise(first).is_parameter  # fairseq 0.12.2 has more than these
    for key, tensor in first.items():
        if not is_parameter(key):
            continue
        unit, _, name = key.rpartition(".")
        own = state[f"{unit}.base.{name}" if unit in plan.low_rank else key]
        assert torch.equal(own, tensor), f"{key} is frozen and has changed"
    ups = [tensor for key, tensor in state.items() if key.endswith(".up")]
    assert all(tensor.any() for tensor in ups), f"of {len(ups)} differences some are nothing yet"

    task, model, _ = build(data)
    model.load_state_dict(state, strict=True)
    sample = batch_of(task, utterances=3, subset="tst-COMMON")
    mixed = translate(task, model.eval(), sample)
    average, last = tmp_path / "average.pt", str(whole.checkpoint)
    assert gist(["average", last, last, "-o", str(average)]) == 0
    assert_same_tensors(torch.load(average, **WHOLE_FILE)["model"], state)
    assert gist(["show", last]) == 0
    for language in task.languages[:2]:
        target = tmp_path / f"{language}.pt"
        assert gist(["export", last, "--language", language, "-o", str(target)]) == 0
        _, stock, _ = build(data)
        stock.load_state_dict(torch.load(target, **WHOLE_FILE)["model"], strict=True)
        alone = translate(task, stock.eval(), sample)
        ids = sample["net_input"]["lang_ids"]
        for row in (ids == task.languages.index(language)).nonzero().flatten().tolist():
            assert [tokens for tokens, _ in alone[row]] == [tokens for tokens, _ in mixed[row]]


WHOLE_FILE = {"weights_only": False} if torch.__version__ >= "2" else {}

SPLIT = [
    "--differentiate-at=4", "--gradient-window=4", "--gradient-chunks=4", "--size-budget=1.1",
    *LOW_RANK,
]  # fmt: skip


@pytest.mark.parametrize("only", [[], ["--train-only=copies"]], ids=["all", "copies alone"])
def test_a_model_differentiates_into_differences(train, tmp_path, only):
    whole = train(tmp_path / "whole", "--max-update=7", "--save-interval-updates=3", *SPLIT, *only)
    shared = train(tmp_path / "shared", "--max-update=5", *SPLIT, "--differentiate-by=shared",
                   drop=["--size-budget"])  # fmt: skip
    losses = [{s.update: s.loss for s in run.steps} for run in (whole, shared)]
    apart = {update: losses[0][update] - losses[1][update] for update in range(5)}
    assert set(apart.values()) == {0.0}, f"differences: {apart}"
    state = whole.load()["model"]
    plan = plan_in_state(state)
    assert set(plan.low_rank.values()) == {4}
    assert parameters_in_state(state) == plan.parameters <= 1.1 * plan.shared_parameters
    for stop in (3, 6):
        (tmp_path / f"from-{stop}").mkdir()
        shutil.copy(
            tmp_path / f"whole/checkpoint_1_{stop}.pt",
            tmp_path / f"from-{stop}/checkpoint_last.pt",
        )
        again = train(tmp_path / f"from-{stop}", "--max-update=7", *SPLIT, *only)
        assert again.steps == whole.steps[stop:]
        assert_same_tensors(state, again.load()["model"])
    if only:
        six = torch.load(tmp_path / "whole/checkpoint_1_6.pt", **WHOLE_FILE)["model"]
        moved = {key for key, tensor in state.items() if not torch.equal(tensor, six[key])}
        assert moved
        assert all(".difference." in key for key in moved), moved


@pytest.mark.parametrize(("options", "message"), [
    (["--train-only=copies"], "--train-only copies: the model has none; add --sharing-plan or"),
    (["--train-only=copies", *SPLIT[1:], "--differentiate-at=4,8"],
     "after the split at 4 all else is frozen and has no gradients to decide by at 8"),
    ([*SPLIT, "--rank=900"], "--rank: 900 is more than the"),
    ([*SPLIT, "--copies=full"], "--rank: is for --copies low-rank"),
    ([*SPLIT, r"--units=.*norm"], "--copies: low-rank: none of the"),
])  # fmt: skip
def test_what_cannot_be(train, tmp_path, options, message):
    with pytest.raises(SystemExit) as error:
        train(tmp_path / "run", "--max-update=1", *options)
    line = str(error.value)
    assert message in line, line
    assert line.startswith("fairseq-gist: error: ")
