"""What is changed in fairseq: nothing by an import, all of it once, whoever was there first."""

import functools
import subprocess
import sys
from argparse import Namespace

import pytest
from fairseq.trainer import Trainer

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host import hooks
from fairseq_gist.host.install import install


class Task:
    """Counts what it is told."""

    averages_validation_subsets = False

    def __init__(self):
        self.told = []

    def trainer_built(self, trainer):
        self.told.append(("trainer", trainer))

    def optimizer_built(self, optimizer):
        self.told.append(("optimizer", optimizer))

    def checkpoint_begins(self):
        self.told.append(("checkpoint", None))


@pytest.fixture
def trainer_class():
    """Fairseq's trainer, nothing of ours round it, and with little inside."""

    def initialise(self, task, valid_subset="dev"):
        self.task = task
        self.cfg = Namespace(dataset=Namespace(valid_subset=valid_subset))
        self._optimizer, self._wrapped_model = None, "wrapped"

    def build(self):
        self._optimizer = object()

    kept = {name: Trainer.__dict__[name] for name in METHODS}
    marked = hooks.MARK in vars(Trainer)
    if marked:
        delattr(Trainer, hooks.MARK)
    Trainer.__init__, Trainer._build_optimizer = initialise, build
    Trainer.consolidate_optimizer = lambda self: None
    yield Trainer
    for name, method in kept.items():
        setattr(Trainer, name, method)
    if hooks.MARK in vars(Trainer):
        delattr(Trainer, hooks.MARK)
    if marked:
        setattr(Trainer, hooks.MARK, True)


METHODS = ("__init__", "_build_optimizer", "consolidate_optimizer", "load_checkpoint")


def put_in_front(owner, says, wraps):
    """Do what another plugin does: replace the trainer's methods by its own round them."""
    for name in METHODS:
        inner = getattr(owner, name)

        def outer(self, *args, _inner=inner, **kwargs):
            says.append(type(self).__name__)
            return _inner(self, *args, **kwargs)

        setattr(owner, name, functools.wraps(inner)(outer) if wraps else outer)


def everything_is_told_once(owner):
    task = Task()
    trainer = owner(task)
    trainer._build_optimizer()
    trainer.consolidate_optimizer()
    assert [what for what, _ in task.told] == ["trainer", "optimizer", "checkpoint"]
    assert task.told[0][1] is trainer
    assert task.told[1][1] is trainer._optimizer


@pytest.mark.parametrize("wraps", [True, False], ids=["functools.wraps", "plain"])
def test_another_plugin_may_come_first(trainer_class, wraps):
    says = []
    put_in_front(trainer_class, says, wraps)
    install()
    install()
    everything_is_told_once(trainer_class)
    assert len(says) == 3


@pytest.mark.parametrize("wraps", [True, False], ids=["functools.wraps", "plain"])
def test_another_plugin_may_come_after(trainer_class, wraps):
    says = []
    install()
    put_in_front(trainer_class, says, wraps)
    install()
    everything_is_told_once(trainer_class)
    assert len(says) == 3


def test_a_task_that_does_not_ask_sees_nothing(trainer_class):
    install()
    trainer = trainer_class(object())
    trainer._build_optimizer()
    assert trainer._wrapped_model == "wrapped"


def test_a_run_without_validation_subsets_starts(trainer_class):
    install()
    task = Task()
    task.averages_validation_subsets = True
    trainer_class(task, valid_subset=None)
    assert [what for what, _ in task.told] == ["trainer"]


def test_a_trainer_of_another_version_is_told(monkeypatch):
    monkeypatch.delattr(Trainer, "reinitialize")
    with pytest.raises(SurgeryError, match="fairseq's Trainer has no 'reinitialize'; fairseq-gist"):
        install()


PROGRAM = """
import atexit, fairseq.trainer, fairseq_cli.train
before = {name: vars(fairseq.trainer.Trainer)[name] for name in %r}
loop = dict(vars(fairseq_cli.train))
registered = []
atexit.register = registered.append
from fairseq_gist.tasks.registration import register
register()
assert all(vars(fairseq.trainer.Trainer)[name] is one for name, one in before.items())
assert dict(vars(fairseq_cli.train)) == loop
assert not registered, registered
"""


def test_importing_changes_nothing(repo_root):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM % (METHODS,)],
        capture_output=True,
        text=True,
        cwd=repo_root,
        check=False,
    )
    assert done.returncode == 0, done.stderr
