"""What is read of fairseq's trainer, and what is done to it when its model was rewritten."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer
from torch import Tensor

from fairseq_gist.errors import OptionError
from fairseq_gist.host.optimizer import loss_scale, observe, step_was_taken
from fairseq_gist.surgery.lineage import Lineage
from fairseq_gist.surgery.optimizer import copy_optimizer_state

__all__ = [
    "MeasuringContext",
    "check_distributed",
    "check_trainer",
    "is_first_process",
    "measuring_context",
    "observe",
    "optimizer_state",
    "rebuild_optimizer",
    "same_on_all_processes",
    "step_was_taken",
    "sum_over_processes",
]


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


def check_trainer(trainer: Trainer, *, divides: bool = False) -> None:
    """Raise OptionError for options of fairseq under which a model can't be rewritten.

    Args:
        trainer: fairseq's.
        divides: whether parameters will be divided, and not only copied whole.
    """
    cfg = trainer.cfg
    optimizer = str(getattr(cfg.optimizer, "_name", None))
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
        "--optimizer composite: it is several optimizers, whose states can't be carried over": (
            optimizer == "composite"
        ),
        "--optimizer adafactor where neurons are divided: it keeps no number for each parameter, "
        "so what of its state belongs to a part isn't known; use adam": (
            divides and optimizer == "adafactor"
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
        if parameter in lineage.fresh:
            result.add_fresh(master)
            continue
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
