"""Every system of Table 1 of Wang et al. (2022): trains, resumes, translates, counts."""

import shutil

import pytest
import torch
from fairseq.sequence_generator import SequenceGenerator

from fairseq_gist.cli.main import main as gist
from fairseq_gist.policies import find_policies
from fairseq_gist.policies.dendrogram import LINKAGES
from fairseq_gist.policies.heuristic import Heuristic
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of
from fairseq_gist.surgery.state import parameters_in_state
from fairseq_gist.surgery.units import count_parameters
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import batch_of, build

HELD_OUT = ["--gradients-from=multiway", "--gradient-chunks=4"]
BUDGET = "--size-budget=1.6"
ADAPTERS = ["--adapter-dim=8", "--train-only=adapters"]


def _by(policy, *options, at="1"):
    return [f"--differentiate-by={policy}", f"--differentiate-at={at}", *options]


HEURISTICS = [name for name, one in find_policies().items() if issubclass(one, Heuristic)]
SYSTEMS = {
    "joint": [],
    "lna-d": ["--train-only=lna-d"],
    "lna-e": ["--train-only=lna-e"],
    "lna-ed": ["--train-only=lna-ed"],
    "adapters": ADAPTERS,
    "per-language": [],
    "bilingual": [],
    **{name: _by(name) for name in HEURISTICS if name != "shared"},
    "shared": _by("shared", *HELD_OUT),
    "families": _by("families", "--language-groups=de,es+fr"),
    "random": _by("random", BUDGET, "--plan-seed=3"),
    **{
        f"gradient {linkage}": _by("gradient", BUDGET, f"--linkage={linkage}", *HELD_OUT)
        for linkage in LINKAGES
    },
    **{
        f"bipartition {granularity}": _by(
            "bipartition", BUDGET, f"--bipartition-granularity={granularity}", *HELD_OUT, at="1,3"
        )
        for granularity in ("projection", "module", "layer")
    },
}


@pytest.fixture(scope="module")
def start(train, tmp_path_factory):
    """The shared model that the others go on from."""
    return train(tmp_path_factory.mktemp("start"), "--max-update=3").checkpoint


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_trains_resumes_translates_and_counts(train, tmp_path, data, start, system):
    options, changes = [*SYSTEMS[system], "--save-interval-updates=2"], {}
    if system != "bilingual":
        options.append(f"--finetune-from-model={start}")
    if system in ("bilingual", "per-language"):
        changes = {"--train-subset": "train_de", "--valid-subset": "dev_de"}
    whole = train(tmp_path / "whole", "--max-update=4", *options, recipe_changes=changes)
    (tmp_path / "resumed").mkdir()
    shutil.copy(tmp_path / "whole" / "checkpoint_1_2.pt", tmp_path / "resumed/checkpoint_last.pt")
    resumed = train(tmp_path / "resumed", "--max-update=4", *options, recipe_changes=changes)
    assert resumed.steps == whole.steps[2:]
    state = whole.load()["model"]
    assert_same_tensors(resumed.load()["model"], state)

    model_options = [one for one in options if one.startswith("--adapter-dim")]
    task, model, _ = build(data, *model_options)
    shared = count_parameters(model)
    model.load_state_dict(state, strict=True)
    _translates(task, model.eval())

    counted = parameters_in_state(state)
    assert counted == count_parameters(model)
    plan = plan_of(model)
    if plan is None or system == "adapters":
        assert counted == shared
    else:
        assert counted > shared
        units = plan.sizes
        assert counted == plan.size(shared, units)
    if "random" in system or "gradient" in system:
        assert shared < counted <= 1.6 * shared


def _translates(task, model):
    sample = batch_of(task, utterances=2, subset="tst-COMMON")
    generator = SequenceGenerator([model], task.target_dictionary, beam_size=2, max_len_b=8)
    prefix = sample["target"][:, :1]
    rows = task.inference_step(generator, [model], sample, prefix_tokens=prefix)
    assert len(rows) == 16
    for tag, (best, *_) in zip(prefix.flatten().tolist(), rows):
        assert best["tokens"][0].item() == tag
        assert torch.isfinite(best["score"])


def test_a_plan_by_name_from_the_start(train, tmp_path, start):
    plan = tmp_path / "plan.json"
    languages = "de,es,fr,it,nl,pt,ro,ru"
    command = ["plan", "encoder-only", "--checkpoint", str(start), "--languages", languages]
    assert gist([*command, "-o", str(plan)]) == 0
    from_start = train(
        tmp_path / "plan", "--max-update=2", f"--finetune-from-model={start}",
        f"--sharing-plan={plan}",
    )  # fmt: skip
    state = from_start.load()["model"]
    assert "decoder.embed_tokens" in plan_in_state(state).units
    assert parameters_in_state(state) == plan_in_state(state).parameters


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--differentiate-by=best"], "--differentiate-by: expected one of bipartition, families"),
        (["--linkage=ward"], "--linkage: expected one of single, average, complete, found 'ward'"),
        (["--bipartition-splits=0"], "--bipartition-splits: expected 1 or more, found 0"),
        (["--bipartition-threshold=3"], "--bipartition-threshold: expected a distance from 0"),
        (["--bipartition-granularity=head"], "--bipartition-granularity: expected one of proj"),
        (_by("attention", at="1,3"), "'attention' splits all at once; expected one update"),
        (_by("attention", "--units=encoder.*"), "splits none of the units asked for"),
        (_by("random", "--size-budget=0.5"), "--size-budget: 0.5 is less than the fully shared"),
    ],
)
def test_what_cannot_work_is_told_before_training(train, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        train(tmp_path, "--max-update=4", *options)
    assert not list(tmp_path.glob("*.pt"))


def test_a_moment_that_split_nothing_is_not_missed(train, tmp_path):
    """Halves are never farther apart than 2, so that both moments pass without a split."""
    nothing = _by("bipartition", "--bipartition-threshold=2", *HELD_OUT, at="1,3")
    train(tmp_path, "--max-update=2", *nothing)
    resumed = train(tmp_path, "--max-update=4", *nothing)
    assert plan_in_state(resumed.load()["model"]).is_shared


def test_a_policy_may_share_what_is_frozen(train, tmp_path):
    run = train(tmp_path, "--max-update=2", "--train-only=lna-d", *_by("feed-forward"))
    assert len(plan_in_state(run.load()["model"]).units["decoder.layers.0.fc1"]) == 1
    with pytest.raises(SystemExit, match=r"'decoder.layers.0.fc1' is frozen \(--train-only\)"):
        train(tmp_path / "fc", "--max-update=2", "--train-only=lna-d", *_by("attention"))


@pytest.mark.parametrize("policy", ["attention", "encoder-only"])
def test_a_policy_by_name_leaves_adapters(train, tmp_path, policy):
    run = train(tmp_path, "--max-update=2", "--adapter-dim=8", *_by(policy))
    plan = plan_in_state(run.load()["model"])
    adapters = [groups for name, groups in plan.units.items() if ".adapter." in name]
    assert [len(groups) for groups in adapters] == [8] * 12
    assert plan.parameters == parameters_in_state(run.load()["model"])
