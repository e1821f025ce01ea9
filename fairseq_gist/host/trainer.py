"""The one place that reaches into fairseq's trainer and training loop.

Methods are wrapped when the plugin is imported: ``Trainer.__init__``, to make the trainer
known to a task that asks for it, and ``Trainer._build_optimizer``, because the trainer builds its
optimizer anew when it loads a checkpoint. Two functions of the training loop are wrapped when such
a trainer is built: ``validate``, so that what follows from validation follows from all subsets, and
``get_valid_stats``, which logs the best value so far. Tasks that don't ask see no difference.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer
from torch import Tensor

from fairseq_gist.errors import OptionError, SurgeryError
from fairseq_gist.host.optimizer import loss_scale, observe, step_was_taken
from fairseq_gist.host.validation import average_of_subsets, log_average
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.optimizer import copy_optimizer_state

__all__ = [
    "REQUIRED_ATTRIBUTES",
    "REQUIRED_OF_TRAINING",
    "MeasuringContext",
    "check_distributed",
    "check_trainer",
    "install",
    "is_first_process",
    "measuring_context",
    "observe",
    "optimizer_state",
    "rebuild_optimizer",
    "same_on_all_processes",
    "step_was_taken",
    "sum_over_processes",
]

REQUIRED_ATTRIBUTES = (
    "__init__",
    "_build_optimizer",
    "consolidate_optimizer",
    "get_model",
    "get_criterion",
    "get_num_updates",
    "get_valid_iterator",
    "is_data_parallel_master",
    "load_checkpoint",
    "reinitialize",
)
"""What this file needs of the trainer's class."""

TRAINING_LOOP = "fairseq_cli.train"
REQUIRED_OF_TRAINING = ("validate", "validate_and_save", "get_valid_stats")
"""What this file needs of the module with fairseq's training loop."""


def install() -> None:
    """Wrap the trainer's methods; a second call does nothing.

    Raises:
        SurgeryError: naming the attribute that this version of fairseq lacks.
    """
    _check_attributes(Trainer, "Trainer", REQUIRED_ATTRIBUTES)
    if hasattr(Trainer.__init__, "__wrapped__"):
        return
    _wrap("__init__", after=_tell_trainer)
    _wrap("_build_optimizer", before=_forget_wrapper, after=_tell_optimizer)
    _wrap("consolidate_optimizer", before=_tell_saving)


def _check_attributes(owner: Any, says: str, names: Sequence[str]) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise SurgeryError(
            f"fairseq's {says} has no '{missing[0]}'; fairseq-gist knows fairseq 0.12.2, "
            "ve-fairseq 0.12.3 and fairseq-fixed 0.12.3.1"
        )


def _wrap(
    name: str,
    before: Optional[Callable[[Trainer], None]] = None,
    after: Optional[Callable[[Trainer], None]] = None,
) -> None:
    original = getattr(Trainer, name)

    @functools.wraps(original)
    def wrapped(self: Trainer, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self)
        result = original(self, *args, **kwargs)
        if after is not None:
            after(self)
        return result

    setattr(Trainer, name, wrapped)


def _tell(trainer: Trainer, event: str, *args: Any) -> None:
    listener = getattr(trainer.task, event, None)
    if listener is not None:
        listener(*args)


def _tell_trainer(trainer: Trainer) -> None:
    if _averages_subsets(trainer.cfg, trainer.task):
        for train in _training_loops():
            _check_attributes(train, TRAINING_LOOP, REQUIRED_OF_TRAINING)
            if not hasattr(train.validate, "averages_subsets"):
                _average_subsets(train)
    _tell(trainer, "trainer_built", trainer)


def _tell_optimizer(trainer: Trainer) -> None:
    _tell(trainer, "optimizer_built", trainer._optimizer)  # noqa: SLF001


def _tell_saving(trainer: Trainer) -> None:
    _tell(trainer, "checkpoint_begins")


def _forget_wrapper(trainer: Trainer) -> None:
    """Have the distributed wrapper made anew: a loaded checkpoint may have swapped modules."""
    if hasattr(trainer.task, "trainer_built"):
        trainer._wrapped_model = None  # noqa: SLF001


def _averages_subsets(cfg: Any, task: Any) -> bool:
    several = "," in cfg.dataset.valid_subset
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

    average.averages_subsets = True  # type: ignore[attr-defined]
    train.validate, train.get_valid_stats = average, of_subset


def is_first_process(trainer: Trainer) -> bool:
    """Whether this process writes files."""
    return bool(trainer.is_data_parallel_master)


def sum_over_processes(trainer: Trainer) -> Optional[Callable[[Tensor], Tensor]]:
    """Return a function that sums a tensor over all processes, None when there is one."""
    if trainer.data_parallel_world_size == 1:
        return None

    def reduce(tensor: Tensor) -> Tensor:
        distributed_utils.all_reduce(tensor, group=trainer.data_parallel_process_group)
        return tensor

    return reduce


def same_on_all_processes(trainer: Trainer, text: str) -> str:
    """Return the first process's ``text`` on every process."""
    if trainer.data_parallel_world_size == 1:
        return text
    sent: str = distributed_utils.broadcast_object(
        text, src_rank=0, group=trainer.data_parallel_process_group, dist_device=trainer.device
    )
    return sent


def check_trainer(trainer: Trainer) -> None:
    """Raise OptionError for options of fairseq under which a model can't be rewritten."""
    cfg = trainer.cfg
    flat = cfg.common.fp16 and not cfg.common.fp16_no_flatten_grads
    refused = {
        "--store-ema: its shadow model can't follow a split; train without it and average "
        "checkpoints instead": cfg.ema.store_ema,
        "--fp16: its master copy is one flat tensor that can't be split; add "
        "--fp16-no-flatten-grads": flat and not cfg.common.memory_efficient_fp16,
        "--ddp-backend fully_sharded: sharded parameters can't be split": trainer.is_fsdp,
        "--use-bmuf: its own copies of the parameters can't be split": cfg.optimization.use_bmuf,
        "--zero-sharding: sharded optimizer state can't be carried over": (
            cfg.distributed_training.zero_sharding != "none"
        ),
    }
    reasons = [
        f"--differentiate-at doesn't work with {reason}"
        for reason, is_set in refused.items()
        if is_set
    ]
    if reasons:
        raise OptionError("; ".join(reasons))


def check_distributed(trainer: Trainer) -> None:
    """Raise OptionError where fairseq's distributed wrapper can't train copies without rows."""
    options = trainer.cfg.distributed_training
    if (
        trainer.data_parallel_world_size > 1
        and options.ddp_backend in ("c10d", "pytorch_ddp")
        and not options.find_unused_parameters
    ):
        raise OptionError(
            f"--ddp-backend {options.ddp_backend}: a batch may have no row for a copy, which this "
            "backend can't train; add --find-unused-parameters, or use --ddp-backend legacy_ddp"
        )


class OptimizerState(NamedTuple):
    """What is carried from one optimizer to the next."""

    optimizer: Any
    scheduler: Any
    lr: float


def optimizer_state(trainer: Trainer) -> OptimizerState:
    """Return optimizer and scheduler as they are now, and the learning rate."""
    return OptimizerState(trainer.optimizer, trainer.lr_scheduler, trainer.optimizer.get_lr())


def rebuild_optimizer(trainer: Trainer, before: OptimizerState, lineage: Lineage) -> None:
    """Build the optimizer for the rewritten model and give it the old one's state.

    The loss scale, every parameter's moments, the scheduler and the learning rate go on; copies
    get the moments of what they were copied from.
    """
    trainer.reinitialize()
    new, old = trainer.optimizer, before.optimizer
    copy_optimizer_state(old.optimizer, new.optimizer, _master_lineage(old, new, lineage))
    scaler = getattr(old, "scaler", None)
    if scaler is not None:
        _carry_scaler(old, new)
    # the scheduler itself goes on: its state dict lacks warm-up factors and patience
    scheduler = before.scheduler
    scheduler.optimizer = new
    if hasattr(scheduler, "lr_scheduler"):
        scheduler.lr_scheduler.optimizer = new.optimizer
    trainer._lr_scheduler = scheduler  # noqa: SLF001
    new.set_lr(before.lr)


def _carry_scaler(old: Any, new: Any) -> None:
    if hasattr(new, "_grad_scaler"):
        new._grad_scaler = old._grad_scaler  # noqa: SLF001
    else:
        new.scaler = old.scaler


def _master_lineage(old: Any, new: Any, lineage: Lineage) -> Lineage:
    """Return the lineage among the parameters that the torch optimizer holds.

    Under fp16 these are fp32 masters, listed in the order of the model's parameters; each new
    master takes over the old one's value too, which has more digits than the model's.
    """
    if not isinstance(getattr(new, "fp32_params", None), list):
        return lineage
    masters = dict(zip(old.fp16_params, old.fp32_params))
    result = Lineage()
    for parameter, master in zip(new.fp16_params, new.fp32_params):
        origin = masters[lineage.origin(parameter)]
        with torch.no_grad():
            master.copy_(lineage.take(parameter, origin))
        result[master] = origin
        if parameter in lineage.parts:
            result.parts[master] = lineage.parts[parameter]
    return result


class MeasuringContext(NamedTuple):
    """What measuring gradients outside a training step needs of the trainer."""

    model: Any
    criterion: Any
    loss_scale: float
    to_device: Callable[[Any], Any]
    autocast: bool
    max_tokens: Optional[int]
    max_sentences: Optional[int]


def measuring_context(trainer: Trainer) -> MeasuringContext:
    """Return model, criterion, loss scale and the function that moves a batch to the device."""
    return MeasuringContext(
        trainer.get_model(),
        trainer.get_criterion(),
        loss_scale(trainer.optimizer),
        lambda sample: trainer._prepare_sample(sample)[0],  # noqa: SLF001
        bool(trainer.cfg.common.amp),
        trainer.cfg.dataset.max_tokens_valid,
        trainer.cfg.dataset.batch_size_valid,
    )
