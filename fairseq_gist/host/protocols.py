"""What of fairseq's objects is used, and what fairseq's trainer tells a task of ours."""

from __future__ import annotations

from typing import Any, List, Protocol

from torch import nn

__all__ = ["Criterion", "Listener", "Task", "Trainer"]


class Criterion(Protocol):
    """A loss: a module that is called with a model and a batch."""

    training: bool

    def __call__(self, model: nn.Module, sample: Any) -> Any:
        """Return (summed loss, number it is divided by, what is logged)."""

    def train(self, mode: bool = True) -> Any:
        """Behave as in training, or not."""


class Task(Protocol):
    """The task, as recording sees it."""

    dataset_to_epoch_iter: Any
    """Iterators over subsets, those that serve every epoch, by their dataset."""

    @property
    def languages(self) -> List[str]:
        """The model's languages, in alphabetical order."""

    @property
    def target_dictionary(self) -> Any:
        """The target vocabulary."""

    def reader(self) -> Any:
        """Return what reads the subsets of the data folder."""

    def dataset(self, split: str) -> Any:
        """Return a subset that was loaded."""


class Trainer(Protocol):
    """Fairseq's trainer: what of it is used beside the methods that :mod:`.hooks` wraps."""

    cfg: Any
    task: Any
    device: Any
    is_fsdp: bool
    data_parallel_world_size: int
    data_parallel_rank: int
    data_parallel_process_group: Any
    is_data_parallel_master: bool
    optimizer: Any
    lr_scheduler: Any

    def get_model(self) -> Any:
        """Return the bare model."""

    def get_criterion(self) -> Any:
        """Return the bare criterion."""

    def reinitialize(self) -> None:
        """Forget optimizer and wrappers: the model's parameters are others now."""


class Listener(Protocol):
    """What a task has that wants to follow its trainer; each of the three may be left out."""

    def trainer_built(self, trainer: Trainer) -> None:
        """A trainer of this task is complete."""

    def optimizer_built(self, optimizer: Any) -> None:
        """The trainer has built an optimizer, its first or, for a checkpoint, another one."""

    def checkpoint_begins(self) -> None:
        """A checkpoint is about to be written; told in every process."""
