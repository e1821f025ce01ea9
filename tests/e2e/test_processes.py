"""Several processes against one that takes their batches in turn."""

import shutil

import pytest
from fairseq import checkpoint_utils

from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.conftest import assert_same_tensors, used
from tests.e2e.ranks import as_rank, free_port, start, train_as, training, wait

OPTIONS = [
    "--max-update=9",
    "--differentiate-at=6",
    "--gradient-window=4",
    "--gradient-chunks=4",
    "--dropout=0",
    "--attention-dropout=0",
    "--activation-dropout=0",
    "--save-interval-updates=4",
]
HELD_OUT = [
    "--max-update=3",
    "--differentiate-at=2",
    "--gradients-from=multiway",
    *OPTIONS[3:7],
]


def _train_as(count, data, folder, *options, **where):
    """Train in ``count`` processes; return what they print."""
    ended = train_as(count, data, folder, *options, **where)
    for one in ended:
        assert one.status == 0, one.output[-3000:]
    return [one.output for one in ended]


def _as_one_and_as_several(count, data, folder, options, **where):
    """Train as one process with ``count`` batches an update, and in ``count`` with one each."""
    one, several = folder / "one", folder / "several"
    _train_as(
        1, data, one, f"--update-freq={count}", *options,
        f"--save-gradient-statistics={folder / 'one.npz'}",
    )  # fmt: skip
    outputs = _train_as(
        count, data, several, *options,
        f"--save-gradient-statistics={folder / 'several.npz'}", **where,
    )  # fmt: skip
    return one, several, outputs


def _assert_same_statistics(folder):
    one, several = (GradientStatistics.load(folder / f"{name}.npz") for name in ("one", "several"))
    assert (one.probe_tokens == several.probe_tokens).all()
    scale = abs(one.gram).max()
    difference = abs(one.gram - several.gram).max() / scale
    assert difference < 1e-4, f"inner products differ by {difference} of the largest"


def _model(folder):
    return checkpoint_utils.load_checkpoint_to_cpu(str(folder / "checkpoint_last.pt"))["model"]


def _assert_same_models(one, several):
    states = _model(one), _model(several)
    assert not plan_in_state(states[0]).is_shared
    assert plan_in_state(states[0]) == plan_in_state(states[1])
    for key, tensor in used(states[0]).items():
        worst = (tensor.double() - states[1][key].double()).abs().max().item()
        assert worst < 1e-3, f"{key} differs by {worst}"


C10D = ["--find-unused-parameters"]
MULTIWAY = ["--multiway-batches"]
ABSENT = [  # a process has one language a batch; in an epoch all of them come
    "--homogeneous-batches",
    "--max-update=14",
    "--differentiate-at=13",
    "--gradient-window=12",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "backend", "options"),
    [
        (2, "legacy_ddp", OPTIONS),
        (4, "legacy_ddp", OPTIONS),
        (2, "c10d", OPTIONS + C10D),
        (4, "c10d", OPTIONS + C10D + ABSENT),
        (2, "legacy_ddp", OPTIONS + ABSENT),
        (2, "legacy_ddp", OPTIONS + MULTIWAY),
        (2, "c10d", OPTIONS + C10D + MULTIWAY),
        (2, "legacy_ddp", HELD_OUT),
        (4, "legacy_ddp", HELD_OUT + MULTIWAY),
        (2, "c10d", HELD_OUT + C10D),
    ],
    ids=[
        "2", "4", "2, torch's", "4, torch's, absent languages", "2, absent languages",
        "2, multi-way", "2, torch's, multi-way", "2, held out", "4, held out, multi-way",
        "2, torch's, held out",
    ],
)  # fmt: skip
def test_several_processes_decide_and_train_like_one(data, tmp_path, count, backend, options):
    one, several, outputs = _as_one_and_as_several(count, data, tmp_path, options, backend=backend)
    _assert_same_statistics(tmp_path)
    _assert_same_models(one, several)
    if options[:3] == HELD_OUT[:3]:  # each measures its part, once; the first shows how far
        assert sum("gradients on multiway" in output for output in outputs) == 1


SPLIT = ["--differentiate-at=6", "--gradient-window=4", "--gradient-chunks=4"]


@pytest.mark.slow
def test_two_processes_go_on_as_two(train, data, tmp_path):
    """In the middle of recording; a run of another number of processes is refused there."""
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    _train_as(2, data, whole, "--max-update=8", *SPLIT)
    _train_as(2, data, parted, "--max-update=4", *SPLIT)
    shutil.copytree(parted, tmp_path / "one")
    _train_as(2, data, parted, "--max-update=8", *SPLIT)
    assert not plan_in_state(_model(parted)).is_shared
    assert_same_tensors(_model(parted), _model(whole))
    with pytest.raises(SystemExit, match="recording .* in 2 processes, and .* another in 1"):
        train(tmp_path / "one", "--max-update=8", *SPLIT)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1)])
def test_after_the_split_a_run_goes_on_in_another_number_of_processes(data, tmp_path, first, then):
    """Its place in the epoch is the same, and so are its batches."""
    options = ["--differentiate-at=6", *OPTIONS[2:7]]
    batches = {1: ["--update-freq=2"], 2: []}
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    _train_as(then, data, whole, "--max-update=10", *options, *batches[then])
    _train_as(first, data, parted, "--max-update=8", *options, *batches[first])
    _train_as(then, data, parted, "--max-update=10", *options, *batches[then])
    _assert_same_models(whole, parted)


@pytest.mark.slow
def test_a_place_that_two_processes_do_not_have_is_refused(train, data, tmp_path):
    train(tmp_path, "--max-update=3")
    for one in train_as(2, data, tmp_path, "--max-update=4"):
        assert one.status == 1
        assert "Traceback" not in one.output
        assert (
            "the checkpoint is 3 batches a process into its epoch, in 1 process, and these 3 can't "
            "be divided among 2: go on with as many as before, or from a checkpoint at the end"
        ) in one.output


@pytest.mark.slow
def test_two_processes_start_from_a_checkpoint(differentiated, data, tmp_path):
    start_from = f"--finetune-from-model={differentiated.checkpoint}"
    _train_as(2, data, tmp_path, start_from, "--max-update=1", "--lr=1e-9")
    assert plan_in_state(_model(tmp_path)) == plan_in_state(differentiated.load()["model"])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--sharing-plan", "--load-checkpoint-on-all-dp-ranks"])
def test_processes_with_different_plans_end(differentiated, data, tmp_path, way):
    """Each reads a file of its own machine; one of them has another one there."""
    plan = plan_in_state(differentiated.load()["model"])
    unit = next(name for name, groups in plan.units.items() if len(groups) > 1)
    other = plan.replaced(units={**plan.units, unit: [plan.languages]})
    port, processes = free_port(), []
    for rank, own in enumerate((plan, other)):
        folder = tmp_path / str(rank)
        folder.mkdir()
        options = ["--max-update=9"]
        if way == "--sharing-plan":
            own.save(folder / "plan.json")
            options += [f"--sharing-plan={folder / 'plan.json'}"]
        else:
            options += [way]
            if rank == 0:
                shutil.copy(differentiated.checkpoint, folder)
            else:
                _train_as(1, data, folder, "--max-update=1")
        arguments = training(data, folder, *options)
        processes.append(start([*arguments, *as_rank(rank, 2, port)]))
    for one in wait(processes):
        assert one.status == 1
        assert "Traceback" not in one.output
        assert (
            "process 1 of 2 (counted from 0) has another sharing plan than process 0" in one.output
        )


@pytest.mark.slow
def test_torchrun_makes_one_run(data, tmp_path):
    """On CPUs, where fairseq would train once in every process."""
    one, several = tmp_path / "one", tmp_path / "several"
    options = [*OPTIONS, "--ddp-backend=legacy_ddp"]
    _train_as(1, data, one, "--update-freq=2", *options)
    launch = [
        "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}",
        "-m", "fairseq_cli.train",
    ]  # fmt: skip
    [ended] = wait([start(training(data, several, *options), launch)])
    assert ended.status == 0, ended.output[-3000:]
    assert ended.output.count("update 6: differentiated") == 1
    _assert_same_models(one, several)
