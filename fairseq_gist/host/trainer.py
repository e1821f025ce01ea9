"""What is read of fairseq's trainer, and what is done to it when its model was rewritten."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import torch
from fairseq.distributed import utils as distributed_utils
from torch import Tensor
from torch.optim import Optimizer

from fairseq_gist.errors import OptionError, PlanError
from fairseq_gist.host.context import MeasuringContext, Processes
from fairseq_gist.host.masters import Masters, masters_of
from fairseq_gist.host.optimizer import carry_scaler, loss_scale
from fairseq_gist.host.protocols import Trainer

__all__ = [
    "OptimizerState",
    "check_distributed",
    "check_same_plan",
    "check_trainer",
    "measuring_context",
    "optimizer_state",
    "processes_of",
    "rebuild_optimizer",
    "same_on_all_processes",
]

CarryOver = Callable[[Optimizer, Optimizer, Masters, Masters], None]


def processes_of(trainer: Trainer) -> Processes:
    """Return the processes among which ``trainer`` shares the data."""
    if trainer.data_parallel_world_size == 1:
        return Processes()

    def add_up(tensor: Tensor) -> Tensor:
        distributed_utils.all_reduce(tensor, group=trainer.data_parallel_process_group)
        return tensor

    return Processes(trainer.data_parallel_rank, trainer.data_parallel_world_size, add_up)


def same_on_all_processes(trainer: Trainer, text: str) -> str:
    """Return the first process's ``text`` on every process."""
    if trainer.data_parallel_world_size == 1:
        return text
    sent: str = distributed_utils.broadcast_object(
        text, src_rank=0, group=trainer.data_parallel_process_group, dist_device=trainer.device
    )
    return sent


def check_same_plan(trainer: Trainer, plan: str) -> None:
    """Compare what the processes of a run begin with; each of them has to call this.

    Args:
        trainer: fairseq's.
        plan: what this process has.

    Raises:
        PlanError: in every process, when one has another than the first.
    """
    if trainer.data_parallel_world_size == 1:
        return
    first = same_on_all_processes(trainer, plan)
    processes = processes_of(trainer)
    differs = torch.zeros(processes.count, device=trainer.device)
    differs[processes.index] = float(plan != first)
    if processes.add_up is not None:
        differs = processes.add_up(differs)
    others = [str(index) for index, value in enumerate(differs.tolist()) if value]
    if others:
        raise PlanError(
            f"process {', '.join(others)} of {processes.count} (counted from 0) has another "
            f"sharing plan than process 0, whose is {first}; this one has {plan}: give all of them "
            "the same files (--sharing-plan, checkpoints)"
        )


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
        "--fp16 on a CPU: fairseq makes its flat master copy on a CUDA device; add "
        "--fp16-no-flatten-grads": (
            flat
            and not cfg.common.memory_efficient_fp16
            and (cfg.common.cpu or not torch.cuda.is_available())
        ),
        "--ddp-backend fully_sharded: sharded parameters can't be split": trainer.is_fsdp,
        "--ddp-backend slowmo: its own averages of the parameters can't be split": (
            cfg.distributed_training.ddp_backend == "slowmo"
        ),
        "--pipeline-model-parallel: a model in pieces on several devices can't be rewritten": (
            cfg.distributed_training.pipeline_model_parallel
        ),
        "--quantization-config-path: it replaces the same modules by its own": (
            getattr(trainer, "quantizer", None) is not None
        ),
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


def rebuild_optimizer(trainer: Trainer, before: OptimizerState, carry_over: CarryOver) -> None:
    """Build the optimizer for the rewritten model and give it the old one's state.

    Args:
        trainer: whose model was rewritten.
        before: what there was until then; loss scale, scheduler and learning rate go on.
        carry_over: gives the new torch optimizer the state of the old one's parameters; of both it
            is told the fp32 masters, see :func:`fairseq_gist.host.masters.masters_of`.
    """
    trainer.reinitialize()
    new, old = trainer.optimizer, before.optimizer
    carry_over(old.optimizer, new.optimizer, masters_of(old), masters_of(new))
    carry_scaler(old, new)
    # the scheduler itself goes on: its state dict lacks warm-up factors and patience
    scheduler = before.scheduler
    scheduler.optimizer = new
    if hasattr(scheduler, "lr_scheduler"):
        scheduler.lr_scheduler.optimizer = new.optimizer
    trainer._lr_scheduler = scheduler  # type: ignore[attr-defined]  # noqa: SLF001
    new.set_lr(before.lr)


def measuring_context(trainer: Trainer) -> MeasuringContext:
    """Return what measuring needs, as validation does it in this run."""
    return MeasuringContext(
        model=trainer.get_model(),
        criterion=trainer.get_criterion(),
        to_device=lambda sample: trainer._prepare_sample(sample)[0],  # type: ignore[attr-defined]  # noqa: SLF001
        loss_scale=loss_scale(trainer.optimizer),
        autocast=bool(trainer.cfg.common.amp),
        max_tokens=trainer.cfg.dataset.max_tokens_valid,
        max_sentences=trainer.cfg.dataset.batch_size_valid,
        processes=processes_of(trainer),
    )
