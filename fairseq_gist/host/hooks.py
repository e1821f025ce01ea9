"""Making fairseq's trainer known to a task that asks for it.

Methods of ``Trainer`` are wrapped when such a task is set up: ``__init__``, because fairseq tells
its tasks nothing of the trainer and takes bf16 for a TPU's, ``_build_optimizer``, because the
trainer builds its optimizer anew when it loads a checkpoint, ``consolidate_optimizer``, with which
saving begins in every process, and ``load_checkpoint``, so that a run that was killed while it
wrote its last checkpoint goes on from another, one that was killed before it removed an old one
keeps as many as it should, and one that had ended makes no further update.
Two functions of the training loop are wrapped when a trainer is built whose task has
``averages_validation_subsets``: ``validate``, so that what follows from validation follows from all
subsets, and ``get_valid_stats``, which logs the best value so far. Tasks that don't ask see no
difference.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, List, Optional, Sequence

from fairseq.trainer import Trainer

from fairseq_gist.errors import SurgeryError
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.host.recovery import whole_checkpoint
from fairseq_gist.host.retention import remove_surplus
from fairseq_gist.host.validation import average_of_subsets, log_average

__all__ = ["REQUIRED_OF_TRAINER", "REQUIRED_OF_TRAINING", "wrap_trainer"]

logger = logging.getLogger(__name__)

MARK = "gist_wrapped"
"""Attribute of a class or module of fairseq's whose functions are wrapped.

Kept there and not on a function, of which other plugins may put theirs in front.
"""

REQUIRED_OF_TRAINER = (
    "__init__",
    "_build_optimizer",
    "consolidate_optimizer",
    "checkpoint_suffix",
    "get_model",
    "get_criterion",
    "get_num_updates",
    "get_valid_iterator",
    "is_data_parallel_master",
    "load_checkpoint",
    "should_save_checkpoint_on_current_rank",
    "reinitialize",
)
"""What this file needs of the trainer's class."""

TRAINING_LOOP = "fairseq_cli.train"
REQUIRED_OF_TRAINING = ("validate", "validate_and_save", "get_valid_stats")
"""What this file needs of the module with fairseq's training loop."""


def wrap_trainer() -> None:
    """Wrap the trainer's methods, whatever other code has put round them; once a process.

    Raises:
        SurgeryError: naming the attribute that this version of fairseq lacks.
    """
    _check_attributes(Trainer, "Trainer", REQUIRED_OF_TRAINER)
    if MARK in vars(Trainer):
        return
    _wrap("__init__", before=_leave_tpu, after=_tell_trainer)
    _wrap("_build_optimizer", before=_forget_wrapper, after=_tell_optimizer)
    _wrap("consolidate_optimizer", before=_tell_saving)
    _resume_as_if_never_killed()
    setattr(Trainer, MARK, True)


def _check_attributes(owner: Any, says: str, names: Sequence[str]) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise SurgeryError(
            f"fairseq's {says} has no '{missing[0]}'; fairseq-gist knows fairseq 0.12.2, "
            "ve-fairseq 0.12.3 and fairseq-fixed 0.12.3.1"
        )


def _wrap(
    name: str,
    before: Optional[Callable[..., None]] = None,
    after: Optional[Callable[[Trainer], None]] = None,
) -> None:
    original = getattr(Trainer, name)

    @functools.wraps(original)
    def wrapped(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        if after is not None:
            after(self)
        return result

    setattr(Trainer, name, wrapped)


def _resume_as_if_never_killed() -> None:
    load = Trainer.load_checkpoint

    @functools.wraps(load)
    def wrapped(self: Trainer, filename: str, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self.task, "trainer_built"):
            with one_line_errors():
                is_first = self.is_data_parallel_master
                filename = whole_checkpoint(filename, self.checkpoint_suffix, tells=is_first)
        result = load(self, filename, *args, **kwargs)
        if hasattr(self.task, "trainer_built") and result is not None:
            _stay_ended(self, filename)
            _keep_as_many(self, filename)
        return result

    Trainer.load_checkpoint = wrapped


def _stay_ended(trainer: Trainer, filename: str) -> None:
    """Train nothing where a checkpoint has all updates: fairseq looks after the next one only."""
    options, done = trainer.cfg.optimization, trainer.get_num_updates()
    if options.max_update and done >= options.max_update:
        logger.info(
            f"{filename} is of update {done}, and --max-update is {options.max_update}: nothing is "
            "left to train"
        )
        options.max_epoch = -1  # which the training loop asks for once a checkpoint is loaded


def _keep_as_many(trainer: Trainer, filename: str) -> None:
    """Remove what a killed run hasn't come to remove, where this one goes on in its folder."""
    options = trainer.cfg.checkpoint
    goes_on = Path(filename).absolute().parent == Path(options.save_dir).absolute()
    if goes_on and not options.no_save and trainer.should_save_checkpoint_on_current_rank:
        remove_surplus(options, trainer.checkpoint_suffix)


def _tell(trainer: Trainer, event: str, *args: Any) -> None:
    listener = getattr(trainer.task, event, None)
    if listener is not None:
        listener(*args)


def _tell_trainer(trainer: Trainer) -> None:
    if _averages_subsets(trainer.cfg, trainer.task):
        for train in _training_loops():
            _check_attributes(train, TRAINING_LOOP, REQUIRED_OF_TRAINING)
            if MARK not in vars(train):
                _average_subsets(train)
    _tell(trainer, "trainer_built", trainer)


def _tell_optimizer(trainer: Trainer) -> None:
    _tell(trainer, "optimizer_built", trainer._optimizer)  # noqa: SLF001


def _leave_tpu(_: Trainer, cfg: Any = None, task: Any = None, *__: Any, **___: Any) -> None:
    """Train in bf16 on the GPU or CPU there is: fairseq takes every ``--bf16`` for a TPU's."""
    if (
        hasattr(task, "trainer_built")
        and getattr(getattr(cfg, "common", None), "tpu", False)
        and importlib.util.find_spec("torch_xla") is None
    ):
        for options in (cfg.common, cfg.distributed_training, cfg.optimizer):
            if getattr(options, "tpu", False):
                options.tpu = False


def _tell_saving(trainer: Trainer, *_: Any, **__: Any) -> None:
    _tell(trainer, "checkpoint_begins")


def _forget_wrapper(trainer: Trainer, *_: Any, **__: Any) -> None:
    """Have the distributed wrapper made anew: a loaded checkpoint may have swapped modules."""
    if hasattr(trainer.task, "trainer_built"):
        trainer._wrapped_model = None  # noqa: SLF001


def _averages_subsets(cfg: Any, task: Any) -> bool:
    several = "," in (cfg.dataset.valid_subset or "")
    return several and bool(getattr(task, "averages_validation_subsets", False))


def _training_loops() -> List[ModuleType]:
    """Return the modules that may be running fairseq's training loop.

    Under ``python -m`` or torchrun that is ``__main__``, a second copy of the module or the only
    one; a training script that was made from fairseq's is known by its functions.
    """
    loops = []
    for name in (TRAINING_LOOP, "__main__"):
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is not None and (
            getattr(spec, "name", None) == TRAINING_LOOP
            or all(hasattr(module, one) for one in REQUIRED_OF_TRAINING)
        ):
            loops.append(module)
    return loops


def _average_subsets(train: Any) -> None:
    """Have ``train.validate`` return the mean over the subsets as its first value.

    Patience, the best checkpoint and the learning rate follow from that one.
    """
    validate, get_valid_stats = train.validate, train.get_valid_stats

    @functools.wraps(validate)
    def average(cfg: Any, trainer: Any, task: Any, epoch_itr: Any, subsets: List[str]) -> Any:
        values = validate(cfg, trainer, task, epoch_itr, subsets)
        if not _averages_subsets(cfg, task):
            return values
        options = cfg.checkpoint
        mean = average_of_subsets(values, subsets, options.maximize_best_checkpoint_metric)
        if mean is not None:
            stats = get_valid_stats(cfg, trainer, {options.best_checkpoint_metric: mean}, True)
            log_average(cfg, stats, len(subsets), epoch_itr.epoch)
        return [mean, *values[1:]]

    @functools.wraps(get_valid_stats)
    def of_subset(cfg: Any, trainer: Any, stats: Any, tracking_best: bool) -> Any:
        # the best value is one of means, which a single subset's has nothing to do with
        tracking_best = tracking_best and not _averages_subsets(cfg, trainer.task)
        return get_valid_stats(cfg, trainer, stats, tracking_best)

    train.validate, train.get_valid_stats = average, of_subset
    setattr(train, MARK, True)
