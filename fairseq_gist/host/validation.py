"""What several validation subsets say together, as stock fairseq listens to the first one alone."""

from __future__ import annotations

import logging
import math
import os
from typing import Any, Dict, Optional, Sequence

from fairseq.distributed import utils as distributed_utils
from fairseq.logging import progress_bar

__all__ = ["average_of_subsets", "log_average"]

logger = logging.getLogger(__name__)


def average_of_subsets(
    values: Sequence[Any], subsets: Sequence[str], maximize: bool
) -> Optional[float]:
    """Return the plain mean of what was measured on each subset, None where nothing was.

    A subset without a value (None) is left out. One that is no number (nan) makes the mean the
    worst there can be, so that it is never the best and does not stay so either.

    Args:
        values: one for each subset.
        subsets: their names.
        maximize: whether more is better.
    """
    there = {name: float(value) for name, value in zip(subsets, values) if value is not None}
    for name in subsets:
        if name not in there:
            logger.warning(f"validation subset '{name}' has no value and is left out of the mean")
        elif math.isnan(there[name]):
            logger.warning(f"validation subset '{name}' has no number (nan): the mean is the worst")
    if not there:
        return None
    mean = sum(there.values()) / len(there)
    return mean if not math.isnan(mean) else -math.inf if maximize else math.inf


def log_average(cfg: Any, stats: Dict[str, Any], subsets: int, epoch: int) -> None:
    """Log ``stats``, of the mean over ``subsets``, wherever fairseq logs those of one subset."""
    outside: Dict[str, Any] = {}
    if distributed_utils.is_master(cfg.distributed_training):
        outside = {
            "aim_repo": cfg.common.aim_repo,
            "aim_run_hash": cfg.common.aim_run_hash,
            "tensorboard_logdir": cfg.common.tensorboard_logdir,
            "wandb_project": cfg.common.wandb_project,
            "azureml_logging": cfg.common.azureml_logging,
        }
    bar = progress_bar.progress_bar(
        [],
        log_format=cfg.common.log_format,
        epoch=epoch,
        prefix=f"valid on the average of {subsets} subsets",
        aim_param_checkpoint_dir=cfg.checkpoint.save_dir,
        default_log_format="simple" if cfg.common.no_progress_bar else "tqdm",
        wandb_run_name=os.environ.get("WANDB_NAME", os.path.basename(cfg.checkpoint.save_dir)),
        **outside,
    )
    bar.print(stats, tag="valid_average", step=stats["num_updates"])
